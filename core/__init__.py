"""The Django project, and what every app may use."""
