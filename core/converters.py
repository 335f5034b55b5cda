"""Parts of paths that Django has no name for."""

from django.urls.converters import StringConverter


class AnyText(StringConverter):
    """All that is left of the path: Django's own take no slash, or no line feed."""

    regex = "(?s:.+)"
