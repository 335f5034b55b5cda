"""What an issuance costs here, and what it costs elsewhere."""
