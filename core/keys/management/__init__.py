"""Commands that look after API keys."""
