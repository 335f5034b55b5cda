"""Commands that look after staff."""
