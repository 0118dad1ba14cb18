"""Reading ahead: the order, the bound, errors, and an early end."""

import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from semantic_cc.read_ahead import read_ahead


@pytest.mark.parametrize("ahead", [1, 3, 20])
def test_all_items_come_in_their_order(ahead: int) -> None:
    assert list(read_ahead(range(10), ahead)) == list(range(10))
    assert list(read_ahead([], ahead)) == []
    assert list(read_ahead([None, 0], ahead)) == [None, 0]


def test_the_next_item_is_made_while_the_caller_works_and_no_more_than_allowed() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for n in range(6):
            made.append(n)
            if n == 1:
                second.set()
            yield n

    found = read_ahead(items(), 1)
    assert next(found) == 0
    assert second.wait(10)  # nobody has asked for item 1
    assert made == [0, 1]
    assert list(found) == [1, 2, 3, 4, 5]


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    found = read_ahead(items(), 4)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_an_early_end_begins_no_further_item_and_leaves_no_thread() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for n in range(1000):
            made.append(n)
            yield n

    found = read_ahead(items(), 2)
    assert next(found) == 0
    found.close()
    assert len(made) <= 4
    assert not any(thread.name.startswith("read-ahead") for thread in threading.enumerate())


def test_the_thread_sees_the_callers_context() -> None:
    name = ContextVar("name", default="unset")
    name.set("scene")
    assert list(read_ahead(name.get() for _ in range(3))) == ["scene"] * 3
