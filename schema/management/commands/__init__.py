"""Commands of the contract."""
