import threading
from collections.abc import Iterator

import pytest

from operators.video.ahead import ahead


def threads() -> int:
    return sum(thread.name == "ahead" for thread in threading.enumerate())


def test_order_is_kept_and_the_thread_ends() -> None:
    assert list(ahead(range(100), 3)) == list(range(100))
    assert not threads()


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("odd")

    got: list[int] = []
    with pytest.raises(KeyError, match="odd"):
        got.extend(ahead(items(), 2))
    assert got == [1, 2]


def test_no_more_than_the_depth_is_made_and_closing_ends_it() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    taken = ahead(items(), 4)
    assert next(taken) == 0
    taken.close()
    assert len(made) <= 1 + 4 + 2  # in the queue, and one in the thread's hand
    assert not threads()
