"""A recipe's captions: routes, limits, hours; what is wrong is said with its place."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from manifests.errors import UsageError
from pipelines.captions import job
from pipelines.captions.endpoint import read_reply
from pipelines.captions.hours import Hours
from pipelines.captions.recipe_section import read_captions
from pipelines.captions.settings import CaptionSettings, ModelSpec, Route, routes_of
from pipelines.retry_after import retry_after

MODELS = {
    "small": {"url": "http://localhost:1/v1", "model": "s"},
    "large": {"url": "http://localhost:2/v1", "model": "l", "mode": "recaption"},
}


def problems(**data: object) -> str:
    settings, found = read_captions(data)
    assert settings is None
    return "\n".join(f"{where}: {text}" for where, text in found)


def test_routes():
    settings, found = read_captions(
        {
            "models": MODELS,
            "routes": {
                "easy": "clip_score >= 0.3 and metadata->>'a' = 'b' -> small",
                "art": "style = 'x' -> large structured",
                "else": "large",
            },
        }
    )
    assert found == []
    assert routes_of(settings) == (
        Route("easy", "clip_score >= 0.3 and metadata->>'a' = 'b'", "small"),
        Route("art", "style = 'x'", "large", "structured"),
        Route("else", "", "large"),
    )
    assert settings.chain("small") == ("small", "large")
    assert settings.chain("large") == ("large",)


def test_defaults():
    settings, _ = read_captions({})
    assert routes_of(settings) == (Route("else", "", "clean"),)
    with_models = CaptionSettings(models={"m": ModelSpec("m", "http://h/v1")})
    assert routes_of(with_models)[-1].target == "m"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"modles": {}}, "unknown key 'modles'"),
        ({"models": {"a": {"url": "http://h/v1", "model": "x", "temprature": 1}}}, "temperature"),
        ({"models": {"a": {"model": "x"}}}, "needs a url"),
        ({"models": {"a": {"model": "x", "url": "http://me:secret@h/v1"}}}, "environment variable"),
        ({"models": {"a": {"model": "x", "url": "file:///etc"}}}, "not an address"),
        ({"models": {"clean": {"model": "x", "url": "http://h/v1"}}}, "cannot be called"),
        ({"models": MODELS, "routes": {"a": "x > 1 -> smal"}}, "Did you mean 'small'"),
        ({"models": MODELS, "routes": {"a": "-> small"}}, "a condition is missing"),
        ({"models": MODELS, "routes": {"a": "(select 1) -> small"}}, "query of its own"),
        ({"checks": {"off": ["refusals"]}}, "refusal"),
        ({"budget": {"max_costs": 1}}, "max_cost"),
        ({"active_hours": "10pm-7am"}, "22:00-07:00"),
        ({"concurrency": 0}, "at least 1"),
        ({"models": {"a": {"url": "http://h/v1", "model": "x", "max_tokens": "many"}}}, "max_tokens"),
    ],
)
def test_what_is_wrong_is_said(data, said):
    assert said in problems(**data)


def test_a_clock_that_jumps_while_hours_are_waited_for(monkeypatch):
    """Summer time begins at 2:00: the hours from 3:30 on come after 45 minutes, not after an hour and 45."""
    now, slept, said = [datetime(2026, 3, 29, 1, 45)], [], []

    def sleep(seconds):
        slept.append(seconds)
        later = now[0] + timedelta(seconds=seconds)
        now[0] = later + timedelta(hours=now[0].hour < 2 <= later.hour)

    monkeypatch.setattr(job, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(job, "datetime", SimpleNamespace(now=lambda: now[0]))
    job.wait_for_hours(SimpleNamespace(captions=CaptionSettings(active_hours="03:30-07:00")), said.append)
    assert (sum(slept), len(said)) == (45 * 60, 1)


def test_hours_over_midnight():
    hours = Hours.parse("22:00-07:00")
    assert [hours.open_at(datetime(2026, 1, 1, h)) for h in (21, 22, 3, 7)] == [False, True, True, False]
    assert hours.opens_in(datetime(2026, 1, 1, 21, 30)) == 1800
    assert hours.opens_in(datetime(2026, 1, 1, 23)) == 0
    assert Hours.parse("").open_at(datetime(2026, 1, 1))
    with pytest.raises(UsageError):
        Hours.parse("25:00-01:00")


def test_retry_after():
    assert retry_after({"retry-after": "2"}) == 2
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "99999999"}) == 3600
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize("data", [{}, [], {"choices": []}, {"choices": [{"message": {"content": 3}}]}, {"choices": None}, "text"])
def test_replies_of_another_form_are_errors(data):
    with pytest.raises((ValueError, KeyError, LookupError, TypeError, AttributeError)):
        read_reply(data, 0.1)


def test_cost_counts_cached_tokens():
    spec = ModelSpec("m", "http://h/v1", input_price=1.0, output_price=4.0, cached_price=0.1)
    assert spec.cost(1_000_000, 500_000, 400_000) == pytest.approx(0.6 + 0.04 + 2.0)
