"""The append-only store of issuance events."""
