"""The draft that a form has, as the form says it (webmail/_draft_state.html)."""

from __future__ import annotations

import re

from webmail.draft_places import DraftOnPage, DraftPlace
from webmail.drafts import OpenDraft
from webmail.views.page_request import PageRequest

_WRITER = re.compile(r"[0-9a-f]{1,36}")


def draft_on_page(request: PageRequest, place: DraftPlace) -> DraftOnPage:
    """What a form says of the draft that it has: what the page calls itself, if it does, and its revision."""
    writer, revision = request.POST.get("writer", ""), request.POST.get("revision", "")
    return DraftOnPage(
        place,
        writer=writer if _WRITER.fullmatch(writer) else "",
        revision=int(revision) if revision.isdecimal() and len(revision) < 10 else 0,
        token=request.POST.get("token", "")[:36],
    )


def carried_on(request: PageRequest) -> dict[str, object]:
    """The same for the composer of a page that has what its form had, instead of what is kept by now."""
    on_page = draft_on_page(request, DraftPlace())
    return {"revision": on_page.revision, "writer": on_page.writer}


def on_a_page(draft: OpenDraft | None) -> dict[str, object]:
    """What the form of a page says of a draft, as webmail/_draft_state.html shows it."""
    if draft is None:
        return {}
    return {
        "revision": draft.revision,
        "draft_id": draft.draft_id,
        "overtook": draft.overtaken,
        "unread_draft": draft.content is None,
    }
