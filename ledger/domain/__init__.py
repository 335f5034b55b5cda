"""Entries and pseudonyms in plain Python."""
