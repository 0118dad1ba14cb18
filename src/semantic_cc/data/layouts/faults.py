"""What becomes of a fault in a dataset: the readers refuse it, the audit writes it down and reads on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol

from semantic_cc.errors import DataError


class Report(Protocol):
    """Takes a fault, with the names of all items that have it where there are several; may return or raise."""

    def __call__(self, fault: DataError, names: Sequence[str] = ()) -> None:
        """Takes `fault`."""
        ...


def refuse(fault: DataError, names: Sequence[str] = ()) -> NoReturn:
    """The strict way: raises the first fault."""
    raise fault
