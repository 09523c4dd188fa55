"""Whose pages are measured, and how much is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

DID = "did:plc:alicealicealicealicealic"
HANDLE = "alice.test"


@dataclass(frozen=True)
class Size:
    """How much the account has; the newest conversation is a long one."""

    conversations: int = 10_000
    messages: int = 100_000
    #: Messages of the first conversation.
    long: int = 1_000
    #: Messages that a search goes through, the newest ones by conversation.
    searched: int = 50_000

    def arguments(self) -> list[str]:
        """For the command line of a process; ``of`` reads them."""
        return [str(number) for number in astuple(self)]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Size:
        return cls(*map(int, arguments))

    def each_conversation(self) -> Iterator[tuple[str, int]]:
        """The other person's DID and the number of messages of each conversation, newest first."""
        yield _person(0), self.long
        others = self.conversations - 1
        each, more = divmod(self.messages - self.long, others)
        for number in range(others):
            yield _person(number + 1), each + (number < more)


def _person(number: int) -> str:
    return f"did:plc:{number:024d}"
