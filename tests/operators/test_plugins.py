"""Operators by name: settings are checked, third-party packages are found, broken ones are named."""

import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from manifests.errors import UsageError
from operators import ALL, plugins
from operators.base import fingerprint
from operators.exact_duplicates import ExactDuplicates
from operators.near_duplicates import NearDuplicates
from operators.testing import make_batch

EXAMPLE = Path(__file__).parents[1] / "example_plugin"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The example package as an installer lays it out, from its own pyproject.toml; needs neither pip nor a build backend."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copytree(EXAMPLE / "example_operators", tmp_path / "example_operators")
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    [(group, entries)] = project["entry-points"].items()
    (info / "entry_points.txt").write_text(f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items()))
    return tmp_path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder on the import path."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("foreign")]:
        del sys.modules[name]


def install(site: Path, entry: str, code: str, package: str = "foreign-package") -> None:
    """What an installer leaves behind: a module and its metadata."""
    (site / "foreign.py").write_text(code)
    info = site / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[goldsieve.operators]\n{entry}\n")


OPERATOR = """
from dataclasses import dataclass
import pyarrow as pa
from operators.base import Reads
@dataclass(frozen=True)
class Foreign:
    "A foreign operator."
    name, version, scope, gpus = "foreign", "1", "batch", 0.0
    reads = Reads(columns=("caption",))
    adds = pa.schema([("foreign", pa.int32())])
    def open(self):
        return lambda batch: {"foreign": pa.nulls(len(batch), pa.int32())}
"""


def test_everything_built_in_is_available_by_name() -> None:
    assert list(plugins.available())[: len(ALL)] == [operator.name for operator in ALL]
    for operator in ALL:
        assert plugins.make(operator.name) == operator


def test_an_installed_package_adds_an_operator(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "caption_vowels" not in plugins.available()
    monkeypatch.syspath_prepend(installed)
    operator = plugins.make("caption_vowels", {"vowels": "ae"})
    got = operator.open()(make_batch([{"caption": "area"}, {"caption": None}], schema=pa.schema([("caption", pa.string())])))
    assert got["caption_vowels"].to_pylist() == [0.75, None]
    assert fingerprint(operator) != fingerprint(plugins.make("caption_vowels"))


def test_metadata_on_the_path_is_enough(site: Path) -> None:
    install(site, "foreign = foreign:Foreign", OPERATOR)
    assert plugins.make("foreign").name == "foreign"


@pytest.mark.parametrize(
    ("entry", "code", "message"),
    [
        ("foreign = foreign:Foreign", "import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("foreign = foreign:Foreign", "1 / 0", "ZeroDivisionError"),
        ("foreign = foreign:Missing", OPERATOR, "AttributeError"),
        ("foreign = foreign:Foreign", "Foreign = 3", "is not a dataclass"),
        ("foreign = foreign:Foreign", OPERATOR.replace("(frozen=True)", ""), "is not frozen"),
        ("foreign = foreign:Foreign", OPERATOR.replace("adds =", "add ="), "lacks adds"),
        ("other = foreign:Foreign", OPERATOR, "entry point is called 'other' but the class is named 'foreign'"),
    ],
)
def test_a_broken_package_is_named(site: Path, entry: str, code: str, message: str) -> None:
    install(site, entry, code)
    with pytest.raises(UsageError, match="foreign-package") as caught:
        plugins.available()
    assert message in str(caught.value)
    assert "pip uninstall foreign-package" in str(caught.value)


def test_a_taken_name_is_an_error_that_names_both(site: Path) -> None:
    install(site, "phash = foreign:Foreign", OPERATOR)
    with pytest.raises(UsageError, match="'goldsieve' and 'foreign-package' both offer an operator named 'phash'"):
        plugins.available()


@dataclass(frozen=True)
class Example(ExactDuplicates):
    name = "example"
    share: float = 0.5
    sides: tuple[int, ...] = (224,)
    label: str | None = None


def test_settings_are_strict_but_read_like_yaml() -> None:
    got = plugins.configure(Example, {"share": 1, "sides": [1, 2], "label": None})
    assert got == Example(share=1.0, sides=(1, 2))
    assert fingerprint(got) == fingerprint(Example(share=1.0, sides=(1, 2)))
    assert plugins.make("near_duplicates", {"radius": 7}) == NearDuplicates(radius=7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shar": 1}, "Operator 'example' has no setting 'shar'. Did you mean 'share'? It has: keep, share, sides, label."),
        ({"share": "1"}, "Setting 'share' of operator 'example' is '1': Input should be a valid number."),
        ({"share": True}, "Setting 'share' of operator 'example' is True: Input should be a valid number."),
        ({"sides": [1, "x"]}, "Setting 'sides'[1] of operator 'example' is [1, 'x']: Input should be a valid integer."),
        ({"label": {1}}, "Setting 'label' of operator 'example' is {1}, which is not plain data: "),
    ],
)
def test_wrong_settings_are_sentences(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        plugins.configure(Example, settings)
    assert str(caught.value).startswith(message)


def test_what_an_operator_refuses_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"'near_duplicates' cannot be made with .*: radius must be 0 to 20 bits"):
        plugins.make("near_duplicates", {"radius": 99})


def test_unknown_operators_get_a_suggestion() -> None:
    with pytest.raises(UsageError, match=r"no operator named 'near_duplicate'\. Did you mean 'near_duplicates'\?"):
        plugins.make("near_duplicate")
    with pytest.raises(UsageError, match=r"no operator named 'zzz'\. `goldsieve operators` lists them"):
        plugins.make("zzz")
