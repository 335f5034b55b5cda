"""Numbers, orders and leases in plain Python."""
