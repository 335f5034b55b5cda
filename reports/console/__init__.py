"""The console: what staff look at. It changes nothing but API keys; it registers no model, so nothing can be edited."""
