"""What a step leaves to be said on the page that comes after it."""

from django.contrib import messages
from django.http import HttpRequest


def notice_of(request: HttpRequest) -> str:
    """All that is to be said, as one text, "" if nothing; it is said this once."""
    return " ".join(str(message) for message in messages.get_messages(request))
