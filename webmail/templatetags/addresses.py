"""Addresses of servers, as people name them."""

from urllib.parse import urlsplit

from django import template

register = template.Library()


@register.filter
def host(address: str) -> str:
    """The host and port of a URL; anything else as it is."""
    try:
        return urlsplit(address).netloc or address
    except ValueError:
        return address
