"""From the card in a composer to the preview in a message."""

from __future__ import annotations

from accounts.models import Account
from crypto_agent.client import NewPreview
from webmail.previews.card import Card, links_in
from webmail.riding_pictures import sealed_picture

#: Beside a longer text there is no room for a picture in the largest envelope.
MOST_TEXT_BYTES = 40_000


def new_preview(account: Account, card: Card | None, typed: str) -> NewPreview | None:
    """The preview that goes with a text as it was typed; None without one, or where the text has lost its
    link. Raises AgentError."""
    if card is None or card.removed or card.url not in links_in(typed):
        return None
    picture = card.picture if len(typed.encode()) <= MOST_TEXT_BYTES else b""
    image = sealed_picture(account, "image/jpeg", picture) if picture else None
    return NewPreview(card.url, card.title or None, card.description or None, image)
