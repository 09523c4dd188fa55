"""Previews of links: made for whoever writes one, and their pictures for whoever reads it."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.sessions import signed_in
from webmail.blobs.cannot_fetch import CannotFetch
from webmail.previews import choices
from webmail.previews.card import Card, decoded, first_link, links_in
from webmail.previews.fetching import NoPreview, make_card
from webmail.previews.received import picture_of
from webmail.shown_message import may_be_kept, shown_message
from webmail.views.page_request import PageRequest
from webmail.views.sealed_pictures import no_picture, sealed_picture
from webmail.views.signed_out import page_that_stays

#: The buttons of a composer that are not "Send".
ADD, REMOVE = "preview", "no-preview"


@require_POST
@signed_in(when_signed_out=page_that_stays)
def link_preview(request: PageRequest) -> HttpResponse:
    """The preview of what is being written, for static/previews.js: made, taken away, or as it was."""
    return render(request, "webmail/_composer_preview.html", previewed(request))


@require_safe
@signed_in
def picture(request: PageRequest, message_id: str) -> HttpResponse:
    """The picture of a message's preview, out of the message itself."""
    try:
        found = shown_message(request.account, message_id)
    except CannotFetch as error:
        return no_picture(error)
    return sealed_picture(
        request,
        found.newest.message_id,
        lambda: picture_of(request.account, found),
        may_be_kept=may_be_kept(request.account, found.message, found.newest),
    )


def card_in_form(request: PageRequest) -> Card | None:
    """The preview in a composer's form, as it was."""
    return decoded(request.POST.get("preview", ""))


def previewed(request: PageRequest) -> dict[str, Any]:
    """What webmail/_composer_preview.html shows of a composer's form after one of its buttons, or after a
    link was written: ``card``, and a sentence ``problem`` where there is none."""
    text, card, do = request.POST.get("text", ""), card_in_form(request), request.POST.get("do", "")
    links = links_in(text)
    if card is not None and card.url not in links:
        card = None
    if do == REMOVE:
        link = card.url if card else first_link(text)
        return {"card": Card(link, removed=True) if link else None}
    if card is not None and not (card.removed and do == ADD):
        return {"card": card}
    link = first_link(text)
    if not choices.offered(request.account):
        return {"card": None}
    if link is None:
        words = _("Your text has no link that a preview can be made of. It has to begin with https://.")
        return {"card": None, "problem": words if do == ADD else ""}
    try:
        return {"card": make_card(request.account, link)}
    except NoPreview as error:
        return {"card": None, "problem": error.sentence}
