"""Hard negatives: each wrong in one thing, the same every time."""

from operators.captions.negatives import negatives
from operators.captions.structured import FIELDS, render

DATA = {name: "" for name in FIELDS} | {
    "subject": "two boys in red shirts",
    "action": "throw a blue ball",
    "scene": "a park",
    "events": ["two boys pick up a blue ball", "they throw it"],
}


def test_all_kinds():
    made = {negative.kind: negative for negative in negatives(DATA)}
    assert set(made) == {"event order", "attributes swapped", "attribute", "count"}
    assert made["attributes swapped"].text.startswith("Two boys in blue shirts throw a red ball, in a park.")
    assert made["event order"].text.index("throw it") < made["event order"].text.index("pick up")
    assert "wo boys" not in made["count"].text
    assert all(negative.text != render(DATA) for negative in made.values())


def test_the_seed_decides():
    assert negatives(DATA, 1) == negatives(DATA, 1)
    assert len({str(negatives(DATA, seed)) for seed in range(8)}) > 1


def test_what_has_nothing_to_turn_has_no_negatives():
    assert negatives({"subject": "a dog", "events": ["a dog"]}) == []
