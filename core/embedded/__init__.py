"""What `make run` brings along, so that nothing need be installed: PostgreSQL, secrets, and who starts and stops."""
