"""Items made by a thread of its own while earlier ones are worked on."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
WAIT_S = 0.1
"""How soon the thread notices that nobody wants more."""


def ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """The items in their order; a thread makes at most ``depth`` more than were taken. Raises what making them raises.

    Close it when it is not read to its end: the thread ends before that returns.
    """
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    unwanted = threading.Event()

    def hand_over(item: T | None, error: BaseException | None) -> bool:
        while not unwanted.is_set():
            try:
                made.put((item, error), timeout=WAIT_S)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for item in items:
                if not hand_over(item, None):
                    return
            hand_over(None, StopIteration())
        except BaseException as error:
            hand_over(None, error)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # None only beside an error
    finally:
        unwanted.set()
        thread.join()
