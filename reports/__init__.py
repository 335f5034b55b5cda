"""The read side: what was issued, counted from the log's events up to its sealed head."""
