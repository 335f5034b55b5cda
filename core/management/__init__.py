"""Commands of Django's that this project changes."""
