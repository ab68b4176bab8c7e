from collections import Counter

from pipelines.captions.connect import Outcome


def test_two_nights_are_added_and_the_later_one_says_why_it_stopped():
    first = Outcome(samples=3, cost=0.5, stopped="outside the active hours 22:00-06:00", faults=Counter(timeout=2))
    second = Outcome(samples=4, cost=0.25, faults=Counter(timeout=1, refused=1))
    assert first + second == Outcome(samples=7, cost=0.75, faults=Counter(timeout=3, refused=1))
