import re
import shutil
from pathlib import Path

import pytest

from manifests.errors import RecipeError
from pipelines.export_plan import ExportSettings
from pipelines.passes import OperatorUse
from pipelines.recipe import Recipe, load_recipe
from pipelines.recipe_reading import KEYS
from pipelines.sources import SourceSpec

GOOD = """
lake: ./lake                        # a comment
sources:
  - path: crawl/{00000..00099}.tar
operators: [caption_quality, {exact_duplicates: {when: width > 3}}]
tiers:
  silver:
    readable: error is null
    big enough: least(width, height) >= 256
  gold:
    from: silver
    pretty: aesthetic >= 5.0
    balance: {by: concept, cap: 50}
export: {tier: gold, to: out/gold, seed: 7}
"""
DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"


def load(folder: Path, text: str | bytes, *overrides: str) -> Recipe:
    path = folder / "flowers.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_recipe(path, overrides)


def problems(folder: Path, text: str | bytes, *overrides: str) -> list[str]:
    """What is said about the recipe, without the folder."""
    with pytest.raises(RecipeError) as caught:
        load(folder, text, *overrides)
    message = str(caught.value)
    assert "Traceback" not in message
    assert "pydantic" not in message
    return message.replace(str(folder) + "/", "").splitlines()


def test_a_recipe_and_its_paths(tmp_path):
    recipe = load(tmp_path, GOOD)
    assert recipe.name == "flowers"
    assert recipe.lake.folder == tmp_path / "lake"
    assert recipe.sources == (SourceSpec(str(tmp_path / "crawl/{00000..00099}.tar")),)
    assert [(use.name, use.when) for use in recipe.operators] == [("caption_quality", ""), ("exact_duplicates", "width > 3")]
    assert all(isinstance(use, OperatorUse) for use in recipe.operators)
    assert recipe.tiers.as_dict()["silver"] == {"readable": "error is null", "big enough": "least(width, height) >= 256"}
    assert recipe.export == ExportSettings(to=str(tmp_path / "out/gold"), seed=7)
    assert recipe.text == GOOD


def test_digest_is_about_content(tmp_path):
    digest = load(tmp_path, GOOD).digest
    assert re.fullmatch("[0-9a-f]{64}", digest)
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert load(other, GOOD).digest == digest
    assert load(tmp_path, GOOD.replace("# a comment", "").replace("lake: ./lake", "lake: /other/place\nname: roses")).digest == digest
    assert load(tmp_path, GOOD.replace("aesthetic >= 5.0", '"aesthetic>=5.0 -- pretty"')).digest == digest
    assert load(tmp_path, GOOD.replace("[caption_quality", "[{caption_quality: {}}")).digest == digest
    assert load(tmp_path, GOOD.replace("out/gold", "out/other")).digest == digest
    for old, new in (
        ("5.0", "5.5"),
        ("pretty", "nice"),
        ("seed: 7", "seed: 8"),
        ("cap: 50", "cap: 51"),
        ("width > 3", "width > 4"),
        ("crawl", "web"),
    ):
        assert load(tmp_path, GOOD.replace(old, new)).digest != digest, new
    assert load(tmp_path, GOOD.replace("[caption_quality", "[{caption_quality: {max_repetition: 0.4}}")).digest != digest


def test_set_changes_rules_and_settings(tmp_path):
    recipe = load(
        tmp_path,
        GOOD,
        "gold.pretty=aesthetic >= 5.5",
        "export.seed=3",
        "tiers.silver.big enough=width = 9",
        "gold.balance={by: style, cap: 2}",
    )
    assert recipe.tiers.as_dict()["gold"] == {"pretty": "aesthetic >= 5.5", "balance": "at most 2 for each style"}
    assert recipe.tiers.as_dict()["silver"]["big enough"] == "width = 9"
    assert recipe.export is not None
    assert recipe.export.seed == 3
    assert recipe.digest != load(tmp_path, GOOD).digest
    assert recipe.text.endswith("# --set gold.balance={by: style, cap: 2}")
    assert "pretty" not in load(tmp_path, GOOD, "gold.pretty=").tiers.as_dict()["gold"]
    (first, _) = load(tmp_path, GOOD, "operators.caption_quality.max_repetition=0.25").operators
    assert first.operator.max_repetition == 0.25
    assert load(tmp_path, GOOD, "lake=other").lake.folder == tmp_path / "other"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("gold.prety=aesthetic > 1", "no rule 'prety'. Did you mean 'pretty'?"),
        ("glod.pretty=aesthetic > 1", "no key or tier 'glod' in flowers.yaml. Did you mean 'gold'?"),
        ("gold.pretty", "write KEY=VALUE"),
        ("gold.pretty=(select 1)", "rule gold.pretty: (select 1) contains a query"),
        ("export.sed=1", "unknown key 'sed' in export; did you mean 'seed'?"),
        ("export.seed=many", "a whole number is needed"),
        ("operators.phsh.size=1", "name an operator of the recipe"),
        ("sources.0.path=x", "cannot be set this way"),
        ("export.seed=[", "cannot be read"),
        ("gold.balance={by", "not a mapping"),
    ],
)
def test_wrong_set(tmp_path, override, words):
    (problem,) = problems(tmp_path, GOOD, override)
    assert words in problem


def test_all_problems_are_reported_together_by_line(tmp_path):
    text = """lake: ./lake
sources:
  - path: a.tar
    knd: folder
  - {path: 3, kind: foldr}
operators: [caption_qualty, {exact_duplicates: {whn: 1}},
   {caption_quality: {when: "(select 1)", max_repetition: high}}]
tiers:
  silver:
    on: width > 1
    big: least(width) >=
    flag: true
  gold:
    from: silvr
    mix: {where: least(a, b) >= 0.5, max_share: 0.1}
export: {tier: golden, to: out/gold, seed: "7"}
exprt: 3
"""
    found = problems(tmp_path, text)
    lines = [int(problem.split(":")[1]) for problem in found]
    assert lines == sorted(lines)
    for line, words in [
        (4, "unknown key 'knd' in sources; did you mean 'kind'?"),
        (5, "path is 3; text is needed"),
        (5, "kind is 'foldr'"),
        (5, "Did you mean 'folder'?"),
        (6, "unknown key 'caption_qualty' in operators; did you mean 'caption_quality'?"),
        (6, "unknown key 'whn' in the operator exact_duplicates; did you mean 'when'?"),
        (7, "when of caption_quality: (select 1) contains a query of its own"),
        (7, "max_repetition"),
        (10, "the key on is not text (YAML reads it as True). Put it in quotes: 'on'"),
        (11, "rule silver.big: least(width) >= is not valid SQL"),
        (12, "YAML reads this as true or false"),
        (14, "Did you mean 'silver'?"),
        (15, "a comma ends a value"),
        (16, "no tier 'golden' here"),
        (16, "seed is '7'; a whole number is needed"),
        (17, "unknown key 'exprt' in the recipe; did you mean 'export'?"),
    ]:
        assert any(problem.startswith(f"flowers.yaml:{line}: ") and words in problem for problem in found), (line, words, found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lake: a\nlake: b\n", "flowers.yaml:2: the key 'lake' is given twice; the first is in line 1."),
        ("lake: a\ntiers:\n  gold:\n    x: a > 1\n    x: a > 2\n", "flowers.yaml:5: the key 'x' is given twice"),
        ("lake: a\ntiers:\n\tgold: {}\n", "flowers.yaml:3: a tab stands where YAML wants spaces"),
        ("lake: a\ntiers:\n  gold:\n    no: a > 1\n", "Put it in quotes: 'no'"),
        ("lake: a\ntiers:\n  gold:\n    1080: a > 1\n", "Put it in quotes: '1080'"),
        ("lake: a\ntiers:\n  gold:\n    x: 'photo' = style\n", "put such an expression in double quotes"),
        ("lake: a\ntiers:\n  gold:\n    x: *a\n", "is an alias of YAML"),
        ("lake: a\ntiers:\n  gold:\n    x: !a b\n", "YAML cannot read 'b' as !a. Put it in quotes."),
        ("lake: a\ntiers:\n  gold:\n    x: %a > 1\n", "put the whole expression in double quotes"),
        ("lake: a\ntiers:\n  gold:\n    x: style = 'a: b'\n", "second ': '"),
        ("lake: a\n---\nlake: b\n", "more than one document"),
        ("lake: a\nname: 2020-13-99\n", "YAML cannot read '2020-13-99'"),
        ("- a\n", "a recipe is made of keys"),
        ("just text\n", "a recipe is made of keys"),
        ("", "the key 'lake' is missing"),
        ("lake: 3\n", "lake is 3"),
        ("lake: {catalog: postgresql://db/x}\n", "needs a data location"),
        ("lake: {catalg: x}\n", "did you mean 'catalog'?"),
        ("lake: a\nname: [x]\n", "text is needed"),
        ("lake: a\nsources: x\n", "begin each source with '- path: ...'"),
        ("lake: a\nsources: [{kind: folder}]\n", "path is missing"),
        ("lake: a\noperators: phash\n", "operators is a list"),
        ("lake: a\noperators: [caption_quality, caption_quality]\n", "is given twice"),
        ("lake: a\noperators: [{caption_quality: 3}]\n", "the settings of caption_quality are 3"),
        ("lake: a\noperators: [3]\n", "3 is no operator"),
        ("lake: a\ntiers: [gold]\n", "tiers holds the names of tiers"),
        ("lake: a\nexport: out\n", "not a set of keys"),
        ("lake: a\ntiers: {gold: {}}\nexport: {to: x, shard_size: 3XB}\n", "3XB"),
        ("lake: a\ntiers: {gold: {}}\nexport: {to: x, quality: 200}\n", "between 1 and 100"),
        ("lake: a\n? [x]\n: 1\n", "Keys are plain words"),
        ("a: " + "[" * 5000, "flowers.yaml:1: this is nested too deeply"),
        (b"lake: \xff\xfe\n", "flowers.yaml:1: this is not UTF-8"),
        (b"lake: a\x00b\n", "control characters"),
        (b"x" * 200_001, "at most 200,000"),
    ],
)
def test_yaml_that_cannot_be_meant(tmp_path, text, words):
    found = problems(tmp_path, text)
    assert any(words in problem for problem in found), found


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read: No such file or directory"):
        load_recipe(tmp_path / "nope.yaml")


def test_a_lake_in_a_database_keeps_its_password_to_itself(tmp_path):
    recipe = load(tmp_path, "lake: {catalog: 'postgresql://me:secret@db/x', data: parquet}\n")
    assert recipe.lake.catalog == "postgres:postgresql://me:secret@db/x"
    assert recipe.lake.data == f"{tmp_path}/parquet/"
    assert "secret" not in recipe.text
    assert "secret" not in str(recipe.lake)


def test_the_demo_recipe_is_valid(tmp_path):
    source = Path(__file__).parents[2] / "pipelines" / "demo_recipe.yaml"
    shutil.copyfile(source, tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml").export is not None


def test_every_key_is_documented_and_every_example_is_valid(tmp_path):
    text = DOCS.read_text(encoding="utf-8")
    keys = [*KEYS, *SourceSpec.__dataclass_fields__, *ExportSettings.__dataclass_fields__]
    keys += ["catalog", "data", "when", "from", "top", "by", "cap", "prefer", "where", "max_share"]
    assert [key for key in keys if f"`{key}`" not in text] == []
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        load(tmp_path, block if re.search("^lake:", block, flags=re.MULTILINE) else f"lake: ./lake\n{block}")
