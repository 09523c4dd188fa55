"""What was found out about one DNS record."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    #: It may be right: that depends on what is not looked at.
    UNCLEAR = "unclear"
    #: The DNS did not say.
    UNANSWERED = "no answer"


@dataclass(frozen=True)
class Finding:
    """One line for the operator. `publish` is a line of a zone file; empty where nothing is to be done."""

    name: str
    kind: str
    state: State
    #: One sentence.
    said: str
    publish: str = ""
    #: Whether mail, or the way in to this installation, depends on it.
    stops_mail: bool = True

    @property
    def fails(self) -> bool:
        """Whether something that mail depends on is wrong, or could not be found out."""
        return self.stops_mail and self.state in (State.WRONG, State.UNANSWERED)


def shown(text: str) -> str:
    """What somebody published, on one line of a terminal: control characters as escapes, and cut."""
    line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return line if len(line) <= 200 else f"{line[:200]}…"
