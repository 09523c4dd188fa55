"""Whether an open page has the list already as it would come anew: then nothing of it is sent again.

Each list carries a mark of what is in it, and a page that asks says which it has. The mark is a keyed hash:
it stands in addresses, and so in logs, of which nobody is to guess what a list says.
"""

from __future__ import annotations

from django.utils.crypto import salted_hmac
from django.utils.html import format_html
from django.utils.safestring import SafeString


def mark_of(rows: str, unread: int) -> str:
    """The mark of a list that is this HTML, beside which stands how many conversations are unread in all."""
    said = f"{unread} {rows.strip()}"
    return salted_hmac("webmail.known_list", said, algorithm="sha256").hexdigest()[:16]


def marked(rows: SafeString, unread: int) -> SafeString:
    """The list with its mark, which a page names when it asks for the list again."""
    return rows + format_html(
        '<input type="hidden" id="known" name="known" value="{}">', mark_of(rows, unread)
    )
