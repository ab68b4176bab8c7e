"""One attempt at a caption: the request, the answer's checks, and the row that is stored. No network here."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from operators.caption_quality import Identify
from operators.captions.checks import Answer, CheckSettings, Found, Judged, Question, judge
from operators.captions.cleaning import clean
from operators.captions.prompts import READS_PICTURE, load_prompt, user_json
from operators.captions.structured import SCHEMA
from pipelines.captions.cache import request_key
from pipelines.captions.endpoint import Call, Reply
from pipelines.captions.pictures import PictureRef
from pipelines.captions.samples import Sample, Step
from pipelines.captions.settings import CaptionSettings, ModelSpec

Row = dict[str, Any]
LONGEST_CAPTION = 4000
"""Characters of a caption that are sent."""
BYTES_A_TOKEN = 2.5
"""Fewer than any tokenizer needs on average, so that a budget is never passed."""
PIXELS_A_TOKEN = 14 * 14
"""The finest patches in use."""


@dataclass(frozen=True)
class Request:
    """A request with its key, what to check its answer against, and the most tokens it can take."""

    key: str
    call: Call
    question: Question
    reserve: int


def build(sample: Sample, step: Step, settings: CaptionSettings) -> Request | str:
    """The request of this step, or why there is none. The caption goes as data into the last message, cleaned of what is no description."""
    spec = settings.models[step.target]
    prompt = load_prompt(step.kind, settings.prompts.get(step.kind))
    caption = (clean(sample.caption).text or "")[:LONGEST_CAPTION]
    pictured = step.kind in READS_PICTURE
    if not caption and not pictured:
        return "the caption says nothing that could be rephrased"
    content: dict[str, Any] = {"caption": caption} | ({"facts": dict(sample.facts)} if sample.facts else {})
    pictures = (_picture(sample, spec),) if pictured else ()
    user = user_json(content)
    messages = [*map(dict, prompt.prefix), {"role": "user", "content": user}]
    body: dict[str, Any] = {"model": spec.model, "messages": messages, "temperature": spec.temperature, "max_tokens": spec.max_tokens}
    if spec.seed is not None:
        body["seed"] = spec.seed
    if step.kind == "structured" and spec.json_mode != "none":
        schema = {"type": "json_schema", "json_schema": {"name": "caption", "strict": True, "schema": SCHEMA}}
        body["response_format"] = schema if spec.json_mode == "schema" else {"type": "json_object"}
    body |= dict(spec.extra)
    media = {name: sample.media[name] for name in ("span_start_s", "span_end_s")} | {"hash": sample.ids["media_hash"]} if pictured else None
    parameters = spec.parameters() | {"mode": step.kind}
    key = request_key(spec.model, parameters, prompt.version, {"user": user, "media": media})
    tokens = int((prompt.size + len(user.encode("utf-8", "replace"))) / BYTES_A_TOKEN) + 8 * len(messages) + spec.max_tokens
    for ref in pictures:
        tokens += int(spec.image_side**2 / PIXELS_A_TOKEN) * max(1, ref.frames)
    return Request(key, Call(body, pictures, spec.timeout_s), Question(prompt.mode, caption, prompt, sample.facts), tokens)


def _picture(sample: Sample, spec: ModelSpec) -> PictureRef:
    media = sample.media
    frames = spec.frames if media["modality"] == "video" else 0
    place = (media["uri"], media["byte_offset"], media["byte_length"])
    return PictureRef(*place, spec.image_side, frames, media["span_start_s"], media["span_end_s"])


def judged(reply: Reply, request: Request, settings: CheckSettings, identify: Identify) -> Judged:
    return judge(Answer(reply.text, reply.finish_reason, reply.tool_calls), request.question, settings, identify)


def new_row(sample: Sample, step: Step, plan: str, run_id: uuid.UUID) -> Row:
    """A row of ``captions`` with what every attempt has."""
    return {
        **sample.ids,
        **dict.fromkeys(("text", "structured", "error", "request_key", "clip_before", "clip_after"), None),
        "kind": step.kind,
        "model": "rules",
        "prompt_version": step.prompt_version,
        "parameters": "{}",
        "tokens": 0,
        "cost": 0.0,
        "latency_s": 0.0,
        "checks": "[]",
        "accepted": False,
        "outcome": "rejected",
        "route": sample.route,
        "plan": plan,
        "run_id": str(run_id),
        "created_at": datetime.now(UTC),
    }


def cleaned_row(sample: Sample, row: Row) -> Row:
    """The row of a caption that was cleaned by rule; accepted when that changed it and left something."""
    found = clean(sample.caption)
    changed = found.text is not None and found.text != sample.caption
    checks = [{"check": name, "passed": True, "found": "taken out or put right"} for name in found.changes]
    error = None if changed else "nothing was to be cleaned" if found.text else "nothing that describes is left"
    outcome = "accepted" if changed else "kept"
    return row | {"text": found.text if changed else None, "accepted": changed, "error": error, "outcome": outcome, "checks": _json(checks)}


def answered_row(
    row: Row,
    spec: ModelSpec,
    request: Request,
    reply: Reply,
    verdict: Judged,
    more: list[Found],
    requests: int,
    scores: Mapping[str, float | None],
) -> Row:
    """The row of an answer: what it cost, what every check found, and whether it is accepted."""
    checks = [*verdict.checks, *more]
    accepted = verdict.text is not None and all(one.passed for one in checks)
    usage = {"tokens_in": reply.tokens_in, "tokens_out": reply.tokens_out, "cached_tokens": reply.cached, "requests": requests}
    return row | {
        "text": verdict.text,
        "structured": _json(verdict.structured) if verdict.structured else None,
        "model": spec.model,
        "request_key": request.key,
        "parameters": _json(
            spec.parameters() | {"usage": usage, "finish_reason": reply.finish_reason, "facts": dict(request.question.facts)}
        ),
        "tokens": reply.tokens_in + reply.tokens_out,
        "cost": spec.cost(reply.tokens_in, reply.tokens_out, reply.cached),
        "latency_s": reply.seconds,
        "checks": _json([vars(one) for one in checks]),
        "accepted": accepted,
        "outcome": "accepted" if accepted else "rejected",
        "clip_before": scores.get("before"),
        "clip_after": scores.get("after"),
        "error": None
        if accepted
        else "; ".join(f"{one.check}: {one.found}" if one.found else one.check for one in checks if not one.passed),
    }


def failed_row(row: Row, spec: ModelSpec | None, error: str, requests: int, outcome: str) -> Row:
    """The row of an attempt without an answer."""
    model = {"model": spec.model, "parameters": _json(spec.parameters() | {"usage": {"requests": requests}})} if spec else {}
    return row | model | {"error": error, "outcome": outcome}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
