"""Staff: who may log in to the console. Nothing that the API answers depends on it."""
