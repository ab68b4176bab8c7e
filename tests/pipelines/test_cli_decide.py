import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from manifests import Lake, open_lake
from manifests.errors import RecipeError, SqlError, UsageError
from manifests.versions import OperatorVersion
from pipelines.cli import app
from pipelines.cli_decide import share
from pipelines.plan import check_recipe
from pipelines.recipe import load_recipe
from pipelines.tiering import beware, compiled, preview
from quality.presets import presets


@pytest.fixture
def labels(gallery, tmp_path: Path) -> Path:
    """A lake of 12 pictures with a sharpness for some, and labels of all."""
    lake = gallery()
    rows = lake.rows("SELECT CAST(sample_id AS VARCHAR) AS id, sharpness FROM wide ORDER BY id")
    lake.close()
    path = tmp_path / "labels.csv"
    path.write_text("sample_id,label\n" + "".join(f"{r['id']},{'good' if i % 3 else 'bad'}\n" for i, r in enumerate(rows)))
    return path


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_calibrate_prints_the_rule_and_writes_both_files(labels, tmp_path):
    signal = "byte_length"
    text = run("calibrate", tmp_path / "lake", "--signal", signal, "--labels", labels, "--keep", "50%", "-o", tmp_path / "out")
    rule = text.split("The rule for a recipe:\n")[1].splitlines()[0].strip()
    assert rule.startswith("good enough: byte_length ")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["calibration-byte_length.json", "calibration-byte_length.png"]
    facts = json.loads((tmp_path / "out" / "calibration-byte_length.json").read_text())
    assert facts["rule"] == rule
    assert facts["kept_share"] >= 0.5
    assert json.loads(run("calibrate", tmp_path / "lake", "--signal", signal, "--labels", labels, "--keep", "0.5", "--json")) == facts
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"lake: ./lake\ntiers:\n  silver:\n    {rule}\n")
    with lake_at(tmp_path) as lake:
        kept = sum(move.count for move in preview(lake, load_recipe(recipe)) if move.to_tier == "silver")
    assert kept == round(facts["kept_share"] * facts["lake_samples"])


def lake_at(folder: Path) -> Lake:
    return open_lake(folder / "lake")


def test_unmeasured_samples_are_named(labels, tmp_path):
    text = run("calibrate", tmp_path / "lake", "--signal", "sharpness + width", "--labels", labels)
    assert "belong to samples without a value of the signal" in text


@pytest.mark.parametrize(("text", "value"), [("0.3", 0.3), ("30%", 0.3), (" 95 % ", 0.95), (None, None)])
def test_shares(text, value):
    assert share(text, "--keep") == value


def test_no_share():
    with pytest.raises(UsageError, match="--keep is 'many'"):
        share("many", "--keep")


def test_presets_are_listed_and_printed():
    listing = run("presets")
    for one in presets():
        assert f"{one.name}: {one.what}" in listing
        assert one.source in listing
    assert json.loads(run("presets", "--json"))[0]["rules"]
    assert [row["name"] for row in json.loads(run("presets", "sd-1.2", "--json"))] == ["sd-1.2"]
    assert "aesthetic > 5.0" in run("presets", "sd-1.2")
    with pytest.raises(UsageError, match="no preset"):
        run("presets", "nonsense")


RECIPE = """
lake: ./lake
tiers:
  silver:
    preset: datacomp-basic
    english: null
    at least 200 px: least(width, height) >= 100
  gold:
    from: silver
    preset: [datacomp-clip-b32-025]
    sharp: sharpness >= 0
"""


def recipe_of(folder: Path, text: str, *overrides: str):
    path = folder / "recipe.yaml"
    path.write_text(text)
    return load_recipe(path, overrides)


def test_a_preset_in_a_recipe_is_its_rules(tmp_path):
    recipe = recipe_of(tmp_path, RECIPE)
    rules = recipe.tiers.as_dict()
    assert rules["silver"] == {
        "more than 2 words": "caption_words > 2",
        "more than 5 characters": "caption_characters > 5",
        "at least 200 px": "least(width, height) >= 100",
        "at most 3 to 1": "greatest(width, height) <= 3 * least(width, height)",
    }
    assert rules["gold"] == {"matches": "clip_score >= 0.25", "sharp": "sharpness >= 0"}
    assert recipe.tiers.tiers[1].base == "silver"
    written_out = "lake: ./lake\ntiers:\n" + "".join(
        f"  {name}:\n" + ("    from: silver\n" if name == "gold" else "") + "".join(f"    {k}: {v}\n" for k, v in tier.items())
        for name, tier in rules.items()
    )
    assert recipe_of(tmp_path, written_out).digest == recipe.digest


def test_overrides_reach_the_rules_of_a_preset(tmp_path):
    changed = recipe_of(tmp_path, RECIPE, "gold.matches=clip_score >= 0.3", "silver.at most 3 to 1=")
    assert changed.tiers.as_dict()["gold"]["matches"] == "clip_score >= 0.3"
    assert "at most 3 to 1" not in changed.tiers.as_dict()["silver"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("datacomp-basik", ":4: tier silver: There is no preset 'datacomp-basik'. Did you mean 'datacomp-basic'?"),
        ("[sd-1.2, laion-aesthetic]", ":4: tier silver: the presets sd-1.2, laion-aesthetic differ about the rule 'pretty'"),
        ("3", ":4: tier silver: preset is 3; the name of a preset"),
    ],
)
def test_wrong_presets_are_named_with_their_line(tmp_path, value, said):
    with pytest.raises(RecipeError) as caught:
        recipe_of(tmp_path, f"lake: ./lake\ntiers:\n  silver:\n    preset: {value}\n")
    assert said in str(caught.value)


def test_beware_of_scores_of_another_encoder_and_of_what_nobody_measured(gallery, tmp_path, capsys):
    lake = gallery()
    for name, settings in (("clip_score", "{}"), ("image_embedding", '{"encoder": "starter"}')):
        fields = {"key": pa.uuid(), "fingerprint": pa.string(), "run_id": pa.uuid(), name: pa.float32(), "error": pa.string()}
        lake.set_current(OperatorVersion(name, "f", "pair", pa.schema(fields), settings=settings))
    recipe = recipe_of(tmp_path, "lake: ./lake\ntiers: {gold: {preset: datacomp-clip-b32-025}}")
    beware(lake, recipe)
    said = capsys.readouterr()
    assert "made for encoder openclip:ViT-B-32/openai; this lake's clip_score was measured with encoder starter" in said.err
    assert said.out == ""
    beware(lake, recipe_of(tmp_path, "lake: ./lake\ntiers: {gold: {matches: clip_score >= 0.1}}"))
    assert capsys.readouterr().err == ""
    beware(lake, recipe_of(tmp_path, "lake: ./lake\ntiers: {gold: {pretty: aesthetic >= 5}}"))
    said_of = "Rule gold.pretty reads aesthetic, which is unknown for every sample: add aesthetic to the operators."
    assert said_of in capsys.readouterr().err


def test_rules_on_what_nobody_measured_say_which_operators_to_add(gallery, tmp_path):
    recipe = recipe_of(tmp_path, "lake: ./lake\ntiers: {gold: {preset: photo-strict, own: moir < 3}}")
    with pytest.raises(SqlError) as error:
        compiled(gallery(), recipe.tiers)
    *rules, advice = str(error.value).splitlines()
    assert advice.startswith("Add to the operators, which measure what these rules read: provenance, over_smooth, missing_grain,")
    assert "rule gold.own, line 2: there is no column 'moir'." in rules


def test_a_dry_run_finds_what_a_run_would_stumble_over(decided_copy):
    (decided_copy / "full").mkdir()
    (decided_copy / "full" / "notes").touch()
    recipe = decided_copy / "recipe.yaml"
    text = recipe.read_text()
    faults = {
        "{path: pictures}": ("{path: picturez}", "does not exist"),
        "sharp: sharpness": ("sharp: sharpnes", "Did you mean 'sharpness'"),
        "caption_quality,": ("{caption_quality: {when: captoin is null}},", "Did you mean 'caption'"),
        "tiers:": ("export: {to: full}\ntiers:", "holds no export"),
        "tiers:\n": ("export: {to: new, columns: [shrpness]}\ntiers:\n", "Did you mean 'sharpness'"),
    }
    for right, (wrong, said) in faults.items():
        recipe.write_text(text.replace(right, wrong))
        result = CliRunner().invoke(app, ["run", str(recipe), "--dry-run"])
        assert result.exception is not None
        assert said in str(result.exception)
    before = sorted(decided_copy.rglob("*"))
    recipe.write_text(text.replace("image_quality, ", "").replace("lake: lake", "lake: other"))
    assert "reads sharpness" in check_recipe(load_recipe(recipe))[0]  # no operator of a new lake fills it
    recipe.write_text(text.replace("image_quality, ", ""))
    assert check_recipe(load_recipe(recipe)) == []  # the lake's own does
    assert sorted(decided_copy.rglob("*")) == before
