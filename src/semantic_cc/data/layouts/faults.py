"""What happens to a fault in a dataset: the readers raise it, the audit lists it and reads on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol

from semantic_cc.errors import DataError


class FaultHandler(Protocol):
    """Receives a fault, with the names of the items that have it where there are several; may return or raise."""

    def __call__(self, fault: DataError, names: Sequence[str] = ()) -> None:
        """Receives `fault`."""
        ...


def raise_fault(fault: DataError, names: Sequence[str] = ()) -> NoReturn:
    """Raises the fault."""
    raise fault
