"""What the clients ask for: the pages of the figures, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any
from uuid import uuid4

CLIENTS = 8
#: A word that one of a thousand messages has.
RARE_WORD = "wxqz"
#: A rare word, two words that must both be there, and a word that most messages have.
QUERIES = (RARE_WORD, "platform twenty", "train")


@dataclass(frozen=True)
class Asked:
    """A page: its path, and what is sent in a form where it is one."""

    path: str
    wanted_ms: int
    #: None where nothing is wanted of the ratio to the floor.
    wanted_ratio: float | None
    form: Callable[[], dict[str, str]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: How many ask at the same time.
    clients: int = CLIENTS


def pages(told: Mapping[str, Any]) -> dict[str, Asked]:
    """The pages about the conversation that filled_index told."""
    conversation = f"/c/{told['conversation']}/"
    htmx = {"HX-Request": "true"}
    queries = cycle(QUERIES)
    search = Asked("/search/", 300, None, form=lambda: {"q": next(queries)}, headers=htmx)
    return {
        "web/list": Asked("/", 100, 2),
        # From the list, in the place of what the pane shows, and by its address.
        "web/open": Asked(conversation, 100, 2, headers=htmx | {"HX-Target": "pane"}),
        "web/open/page": Asked(conversation, 100, 2),
        "web/scroll": Asked(f"{conversation}older/?before={told['before']}", 80, 2, headers=htmx),
        "web/send": Asked(
            f"{conversation}send/",
            *(50, 2),
            form=lambda: {"text": "The train leaves at twenty past eight.", "token": str(uuid4())},
            headers=htmx,
        ),
        "web/search": search,
        "web/search/alone": replace(search, clients=1),
    }
