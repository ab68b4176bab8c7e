"""What the documentation says exists."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[\s`/])goldsieve ([a-z]+)(?=[\s`]|$)", re.MULTILINE)
TARGET = re.compile(r"(?:^|[\s`])make ([a-z]+)(?=[\s`]|$)", re.MULTILINE)


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def code(page: Path) -> str:
    """Only what is set as code: indented blocks, fences and back-ticks. Prose may say 'goldsieve is'."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```.*?```|^ {4}.*$|`[^`\n]+`", text, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://", "#", "mailto:")):
            assert (page.parent / link.partition("#")[0]).exists(), f"{names(page)}: {link}"


@cache
def commands() -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", "from pipelines.start import main; main()", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    return set(re.findall(r"^[│|]?\s+([a-z]+)\s", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_commands_exist(page: Path) -> None:
    named = set(COMMAND.findall(code(page)))
    assert named <= commands(), f"{names(page)} names commands that do not exist"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(code(page))) <= targets


def test_every_concept_page_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {names(page) for page in ROOT.glob("docs/*.md")} <= linked
