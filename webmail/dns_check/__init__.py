"""Whether the DNS says of this installation what deploy/README.md has its operator publish."""

from .check import check
from .findings import Finding, State
from .installation import Installation

__all__ = ["Finding", "Installation", "State", "check"]
