"""The JSON form of a caption: its schema, reading an answer strictly, and rendering it to text."""

import json
from collections.abc import Mapping
from typing import Any

FIELDS = (
    *("subject", "action", "scene", "style", "lighting", "composition", "aesthetics"),
    *("shot_size", "camera_angle", "camera_movement", "text_in_image"),
)
EVENTS = "events"
MOST_EVENTS = 12
LONGEST_VALUE = 400
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in FIELDS},
        EVENTS: {"type": "array", "items": {"type": "string"}},
    },
    "required": [*FIELDS, EVENTS],
    "additionalProperties": False,
}
"""JSON schema, in the subset that OpenAI's strict mode, vLLM and SGLang take."""


def read_structured(answer: str) -> dict[str, Any]:
    """The object inside an answer, a code fence around it allowed. Raises `ValueError` that says what is wrong."""
    text = answer.strip()
    if text.startswith("```"):
        text = text.removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("is not JSON") from error
    if not isinstance(data, dict):
        raise ValueError("is not a JSON object")
    known = {*FIELDS, EVENTS}
    if strange := sorted(set(data) - known):
        raise ValueError(f"has unknown keys: {', '.join(map(str, strange))[:100]}")
    if missing := [name for name in ("subject", EVENTS) if name not in data]:
        raise ValueError(f"lacks {', '.join(missing)}")
    for name in FIELDS:
        value = data.setdefault(name, "")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            raise ValueError(f"{name} is not a short text")
    events = data[EVENTS]
    if not isinstance(events, list) or len(events) > MOST_EVENTS or not all(isinstance(e, str) and len(e) <= LONGEST_VALUE for e in events):
        raise ValueError(f"{EVENTS} is not a list of at most {MOST_EVENTS} short texts")
    if not data["subject"].strip():
        raise ValueError("names no subject")
    return {name: data[name] for name in (*FIELDS, EVENTS)}


def render(data: Mapping[str, Any]) -> str:
    """One caption in plain English from a structured one: what is seen, then how it looks, then how it was shot."""

    def value(name: str) -> str:
        return str(data.get(name) or "").strip().rstrip(".")

    subject, action, scene = value("subject"), value("action"), value("scene")
    events = [str(event).strip().rstrip(".") for event in data.get(EVENTS) or () if str(event).strip()]
    first = " ".join(part for part in (subject, action) if part)
    if scene and scene.lower() not in first.lower():
        first += f", {scene}" if scene.split()[0].lower() in PLACES else f", in {scene}"
    sentences = [first]
    if len(events) > 1:
        sentences.append("; then ".join(events))
    looks = [text for name in ("lighting", "composition", "aesthetics") if (text := value(name))]
    if looks:
        sentences.append("; ".join(looks))
    style, size, angle, movement = (value(name) for name in ("style", "shot_size", "camera_angle", "camera_movement"))
    shot = ", ".join(part for part in (style, size, angle) if part)
    if shot:
        sentences.append(shot)
    if movement:
        sentences.append(movement if "camera" in movement.lower() else f"the camera: {movement}")
    if text := value("text_in_image"):
        sentences.append(f'the text "{text}"')
    return " ".join(sentence[:1].upper() + sentence[1:] + "." for sentence in sentences if sentence)


PLACES = frozenset(
    [
        "in",
        "on",
        "at",
        "by",
        "under",
        "near",
        "inside",
        "outside",
        "beside",
        "behind",
        "along",
        "across",
        "against",
        "above",
        "below",
        "over",
        "between",
    ]
)
