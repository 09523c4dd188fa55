"""Who is in the full list: no server knows them."""

from __future__ import annotations

from dataclasses import dataclass

#: As many as a page of the list has.
COUNT = 30
FIRST = ("Margarethe", "Tomasz", "Ines", "Oluwaseun", "Hideko", "Jean-Luc")
LAST = ("Lindqvist", "Okafor-Brandt", "Carvalho", "Yamamoto", "Steinbacher")
SAID = (
    "The train leaves at twenty past eight from platform four, and I bring bread, cheese and good apples.",
    "Yes!",
    "Could you look over the letter to the landlord once more before it goes out? I changed the second half"
    " and I am not sure whether it still says what we agreed on.",
    "Thank you, that was lovely. Next time at my place, then, and I make the soup that you asked about.",
    "https://walks.example/river-path?from=weir&to=the-old-mill",
)


@dataclass(frozen=True)
class Listed:
    """Somebody in the list, and what was said last there: by the account where it is ``own``."""

    did: str
    handle: str
    name: str
    text: str
    own: bool
    unread: int


def listed(count: int = COUNT) -> list[Listed]:
    """So many of them, the one who wrote last first."""
    found = []
    for number in range(count):
        first, last = FIRST[number % len(FIRST)], LAST[number // len(FIRST) % len(LAST)]
        own = number % 2 == 1
        found.append(
            Listed(
                did=f"did:plc:{'full' + format(number, 'b').translate({48: 'a', 49: 'b'}):x<24}",
                handle=f"{first.lower()}.{last.lower()}.example",
                name=f"{first} {last}",
                text=SAID[number % len(SAID)],
                own=own,
                unread=0 if own or number % 3 else 1 + number,
            )
        )
    return found
