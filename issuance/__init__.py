"""The write side: from a request to a number that is durable in the ledger."""
