"""Turns at what others' servers may make slow: so many at once in a process, and of one account."""

from __future__ import annotations

import threading
from collections import Counter


class Turns:
    """Who has how many of the turns at the moment, in this process."""

    def __init__(self, most_at_once: int, most_of_one: int) -> None:
        self._most_at_once = most_at_once
        self._most_of_one = most_of_one
        self._free = threading.Condition()
        self._taken: Counter[int] = Counter()

    def take(self, account_pk: int, patience: float = 0.0) -> bool:
        """Takes a turn of an account's, waiting ``patience`` seconds for one; whether there was one."""
        with self._free:
            if not self._free.wait_for(lambda: self._has_room(account_pk), timeout=patience):
                return False
            self._taken[account_pk] += 1
            return True

    def give_back(self, account_pk: int) -> None:
        with self._free:
            self._taken[account_pk] -= 1
            self._taken += Counter()
            self._free.notify_all()

    def _has_room(self, account_pk: int) -> bool:
        return self._taken.total() < self._most_at_once and self._taken[account_pk] < self._most_of_one
