"""How counts are written, without Django's localisation, which is off for the API's sake."""

from django import template

register = template.Library()


@register.filter
def counted(count: int) -> str:
    """A whole number, in groups of three digits."""
    return f"{count:,}"
