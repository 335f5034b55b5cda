"""What `make run` brings along, so that nothing need be installed: PostgreSQL, Valkey, secrets; it starts and stops."""
