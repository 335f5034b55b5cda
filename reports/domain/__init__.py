"""The reports as plain Python: no framework, no database."""
