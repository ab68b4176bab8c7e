"""Items made by a thread of its own while earlier ones are worked on."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
WAIT_S = 0.1
"""How soon the thread notices that nobody wants more."""


def ahead(items: Iterable[T], together: int) -> Generator[T, None, None]:
    """The items in their order, handed over ``together`` at a time: each time is a wait for Python's lock. Raises what making them does.

    While some are worked on as many are ready and as many are made, so there are three times ``together``.
    Close it when it is not read to its end: the thread ends before that returns.
    """
    made: queue.Queue[tuple[list[T], BaseException | None]] = queue.Queue(1)
    unwanted = threading.Event()

    def hand_over(part: list[T], error: BaseException | None) -> bool:
        while not unwanted.is_set():
            try:
                made.put((part, error), timeout=WAIT_S)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        part: list[T] = []
        try:
            for item in items:
                part.append(item)
                if len(part) == together:
                    if not hand_over(part, None):
                        return
                    part = []
            hand_over(part, StopIteration())
        except BaseException as error:
            hand_over(part, error)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            part, error = made.get()
            yield from part
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
    finally:
        unwanted.set()
        thread.join()
