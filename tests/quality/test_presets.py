import dataclasses
import json
import re

import pytest
import yaml

from manifests import create_lake
from manifests.errors import UsageError
from manifests.parts import signal_schema
from manifests.versions import OperatorVersion
from operators.plugins import available
from quality.presets import accepted, as_yaml, measured_with, preset, presets, scale_warnings, with_presets
from quality.rule_reader import parse_tiers
from quality.sql_guard import check_syntax, used_columns
from quality.tiers import compile_tiers

WANTED = {
    "datacomp-basic",
    "datacomp-clip-b32-025",
    "laion-aesthetic",
    "sd-1.2",
    "dj-llava-pretrain",
    "cleanvision",
    "photo-strict",
    "npr-friendly",
    "mixed",
    "open-sora-video",
    "cosmos-video",
    "dj-t2v",
}
each = pytest.mark.parametrize("one", presets(), ids=lambda one: one.name)


def test_the_presets():
    assert {one.name for one in presets()} >= WANTED
    with pytest.raises(UsageError, match="Did you mean 'datacomp-basic'"):
        preset("datacomp-basics")


def version_of(operator):
    keyed_by = "sample" if operator.scope == "corpus" else "media"
    return OperatorVersion(operator.name, "f", keyed_by, signal_schema(operator.adds))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A lake whose ``wide`` has every column of every operator."""
    with create_lake(tmp_path_factory.mktemp("full") / "lake") as lake:
        lake.set_current(*(version_of(cls()) for cls in available().values()))
        yield lake


def test_every_preset_fits_a_lake_with_all_signals(full):
    columns = {row["column_name"]: row["column_type"] for row in full.rows("DESCRIBE wide")}
    tiers = parse_tiers({f"tier{i}": dict(one.rules) for i, one in enumerate(presets())})
    full.query(compile_tiers(full.connection, tiers).select_sql)
    for one in presets():
        read = set().union(*(used_columns(check_syntax(sql), columns) for rule in one.rules.values() for sql in expressions(rule)))
        assert read == set(one.scales), f"{one.name}: scales name what the rules read"


def expressions(rule):
    if isinstance(rule, str):
        return [rule.partition(" by ")[2] if rule.startswith("top ") else rule]
    return [rule[key] for key in ("where", "by", "prefer") if key in rule]


@each
def test_presets_are_whole(one):
    assert one.what
    assert one.source
    assert set(one.notes) <= set(one.rules)
    assert not set(one.left_out) & set(one.rules)
    assert set(one.holds_for) <= set(one.scales)
    models = {"clip_score", "aesthetic", "video_clip_score_mean", "video_aesthetic_mean"}
    judged_by_a_model = models & set(one.scales)
    assert set(one.holds_for) == judged_by_a_model, "a threshold on a model's score says which model"
    uses = dict(next(iter(use.items())) if isinstance(use, dict) else (use, {}) for use in one.operators)
    for name, settings in uses.items():
        if name in available():
            assert set(settings) <= {f.name for f in dataclasses.fields(available()[name])}
    for signal, needs in one.holds_for.items():
        told = {**uses.get("image_embedding", {}), **uses.get("frame_embeddings", {}), **uses[signal.removesuffix("_mean")]}
        assert {key: [told[key]] for key in needs} == {key: accepted(value)[:1] for key, value in needs.items()}
        assert uses.get("text_embedding", told)["encoder"] == told["encoder"]


@each
def test_the_block_to_paste_is_the_preset(one):
    text = as_yaml(one, "gold")
    data = yaml.safe_load(text)
    assert data["tiers"] == {"gold": dict(one.rules)}
    assert tuple(data["operators"]) == one.operators
    for part in (one.source, *one.left_out, *one.notes.values(), *one.scales.values()):
        assert part in text


def test_datacomp_basic_sorts_as_its_source_does(scored):
    lake = scored({"a": 0.3})
    rules = preset("datacomp-basic").rules
    con = lake.connection
    cases = [
        (("en", 3, 6, 200, 600), True),
        (("en", 3, 6, 200, 601), False),
        (("en", 3, 6, 601, 200), False),
        (("en", 3, 6, 199, 300), False),
        (("en", 2, 60, 300, 300), False),
        (("en", 3, 5, 300, 300), False),
        (("de", 9, 60, 300, 300), False),
        ((None, 9, 60, 300, 300), None),
    ]
    for values, expected in cases:
        both = " AND ".join(f"({sql})" for sql in rules.values())
        row = con.execute(
            f"SELECT {both} FROM (SELECT ? AS caption_language, ? AS caption_words, ? AS caption_characters, ? AS width, ? AS height)",
            values,
        ).fetchone()
        assert row == (expected,)


ASCII_SPECIAL = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~0123456789 \t\n\r\x0b\x0c")


@pytest.mark.parametrize(
    "caption", ["a cat on a mat", "N/A", "IMG_1234.jpg", "a\tb\ncd", "the quick, brown fox; it jumped!", "$$$ 100% ^^", "x" * 20]
)
def test_data_juicers_ratios_are_computed_as_it_does(scored, caption):
    rules = preset("dj-llava-pretrain").rules
    alnum = sum(map(str.isalnum, caption)) / len(caption)
    special = sum(c in ASCII_SPECIAL for c in caption) / len(caption)
    con = scored({"a": 0.3}).connection
    row = con.execute(
        f"SELECT {rules['letters and digits']}, {rules['special characters']} FROM (SELECT ? AS caption)", [caption]
    ).fetchone()
    assert row == (alnum >= 0.60, 0.16534802 <= special <= 0.42023757)


def test_a_tiers_own_rules_come_first():
    rules = with_presets("datacomp-basic", {"english": None, "at least 200 px": "width >= 9", "mine": "true"})
    assert "english" not in rules
    assert rules["at least 200 px"] == "width >= 9"
    assert list(rules)[-1] == "mine"
    assert with_presets(["datacomp-basic", "cleanvision"], {}).keys() >= {"english", "odd aspect"}
    with pytest.raises(UsageError, match="differ about the rule 'pretty'"):
        with_presets(["sd-1.2", "laion-aesthetic"], {})
    assert with_presets(["sd-1.2", "laion-aesthetic"], {"pretty": "aesthetic > 6"})["pretty"] == "aesthetic > 6"
    for wrong in (None, [], 3, [3], "nonsense"):
        with pytest.raises(UsageError):
            with_presets(wrong, {})


def measured_by(encoder: str) -> dict[str, str]:
    made = json.dumps({"encoder": encoder})
    return {"clip_score": "{}", "image_embedding": made, "text_embedding": made}


@pytest.mark.parametrize(
    ("settings", "rules", "warned"),
    [
        (measured_by("starter"), {"matches": "clip_score >= 0.25"}, True),
        (measured_by("openclip:ViT-B-32/laion2b_s34b_b79k"), {"matches": "clip_score >= 0.25"}, True),
        (measured_by("openclip:ViT-B-32/openai"), {"matches": "clip_score >= 0.25"}, False),
        (measured_by("openclip:ViT-B-32-quickgelu/openai"), {"matches": "clip_score >= 0.25"}, False),
        (measured_by("starter"), {"matches": "clip_score >= 0.2"}, False),
        ({}, {"matches": "clip_score >= 0.25"}, False),
        ({"aesthetic": '{"encoder": "openclip:ViT-L-14/openai", "head": "laion-v1"}'}, {"pretty": "aesthetic > 7"}, False),
        ({"aesthetic": '{"encoder": "openclip:ViT-L-14/openai", "head": "auto"}'}, {"pretty": "aesthetic > 7"}, True),
        ({"aesthetic": '{"encoder": "openclip:ViT-L-14/openai", "head": "auto"}'}, {"pretty": "aesthetic > 5.0"}, False),
        ({"aesthetic": '{"encoder": "starter", "head": "auto"}'}, {"pretty": "aesthetic > 5.0"}, True),
    ],
)
def test_a_score_of_another_model_is_noticed(scored, settings, rules, warned):
    found = scale_warnings(scored({"a": 0.3}, settings), parse_tiers({"gold": rules}))
    assert len(found) == warned
    for text in found:
        assert re.match(
            r"Rule gold\.\w+ is that of the preset [\w.-]+, made for (encoder|head) .*: goldsieve calibrate .* --labels FILE", text
        )


def test_what_measured_a_signal(scored):
    lake = scored({"a": 0.3}, measured_by("starter"))
    assert measured_with(lake, "clip_score") == {"operator": "clip_score", "fingerprint": "f1", "encoder": "starter"}
    assert measured_with(lake, "nothing") == {}


GOOD = {
    "style": "photo",
    "photo_share": 0.9,
    "aigc_strength": "none",
    "aesthetic": 5.5,
    "over_smooth": 0.1,
    "missing_grain": 0.1,
    "texture_loss": 0.6,
    "moire": 8.0,
    "upsampling_grid": 0.02,
    "banding": 0.2,
    "oversharpen_halo": 0.05,
}
BAD = {
    "aigc_strength": "strong",
    "over_smooth": 0.95,
    "missing_grain": 0.95,
    "texture_loss": 2.0,
    "moire": 30.0,
    "upsampling_grid": 0.6,
    "banding": 8.0,
    "oversharpen_halo": 0.5,
}


def verdict(scored, name, **values):
    """Whether a sample with these values passes every rule of a preset."""
    rules = " AND ".join(f"({sql})" for sql in preset(name).rules.values())
    row = {**GOOD, **values}
    columns = ", ".join(f"? AS {column}" for column in row)
    return scored({"a": 0.3}).connection.execute(f"SELECT {rules} FROM (SELECT {columns})", list(row.values())).fetchone()[0]


@pytest.mark.parametrize("name", ["photo-strict", "npr-friendly"])
def test_what_aigc_presets_let_through(scored, name):
    assert verdict(scored, name)
    assert verdict(scored, name, aigc_strength="weak")
    for signal, value in BAD.items():
        assert not verdict(scored, name, **{signal: value})
        assert verdict(scored, name, style="anime", photo_share=0.05, **{signal: value})
    assert not verdict(scored, name, style="anime", photo_share=0.2, aigc_strength="proof")  # perhaps a photograph
    assert verdict(scored, "npr-friendly", style="anime", aesthetic=4.0) is False
    assert verdict(scored, "photo-strict", style="anime", aesthetic=4.0) is True


def test_the_soft_score_alone_rejects_in_no_preset():
    for one in presets():
        assert all("aigc_score" not in sql for rule in one.rules.values() for sql in expressions(rule))
