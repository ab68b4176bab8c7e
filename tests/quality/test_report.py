import html.parser
import io
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from PIL import Image

from quality.report import write_report

HOSTILE = '<script>alert("x")</script>'


class MemoryLake:
    """A real DuckDB with the tables a report reads."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("CREATE TABLE tierings (recipe VARCHAR, rules JSON, applied_at TIMESTAMPTZ)")
        self.connection.execute(
            """CREATE TABLE wide (sample_id UUID DEFAULT uuid(), key VARCHAR, source VARCHAR DEFAULT 'crawl', uri VARCHAR,
            byte_offset BIGINT, byte_length BIGINT, caption VARCHAR DEFAULT 'a cat', format VARCHAR DEFAULT 'jpeg',
            width INTEGER DEFAULT 640, height INTEGER DEFAULT 480, tier VARCHAR DEFAULT 'gold',
            failed_rules VARCHAR[] DEFAULT [], is_duplicate BOOLEAN DEFAULT false,
            duplicate_group UUID, duplicate_kind VARCHAR, "error" VARCHAR,
            aigc_evidence STRUCT(kind VARCHAR, "location" VARCHAR, "value" VARCHAR, strength VARCHAR)[])"""
        )

    def add(self, key: str, **values: Any) -> None:
        row = {"key": key, "uri": key, **values}
        names = ", ".join(f'"{name}"' for name in row)
        self.connection.execute(f"INSERT INTO wide ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))

    def query(self, sql: str) -> pa.Table:
        return self.connection.execute(sql).to_arrow_table()


class Page(html.parser.HTMLParser):
    """Collects what the tests ask about, and checks that tags nest."""

    VOID = ("meta", "img", "br", "!doctype")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.links: list[str | None] = []
        self.scripts = 0
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            self.images.append(values)
        self.links += [values[name] for name in ("src", "href") if name in values]
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((600, 400), 60).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def lake() -> MemoryLake:
    return MemoryLake()


def report(lake: MemoryLake, path: Path, read: Any = lambda uri, offset, length: jpeg()) -> tuple[str, Page]:
    text = write_report(lake, path / "out" / "report.html", read).read_text(encoding="utf-8")
    return text, Page(text)


def test_an_empty_lake_has_a_page(lake: MemoryLake, tmp_path: Path) -> None:
    text, page = report(lake, tmp_path)
    assert "No sample failed a rule" in text
    assert not page.images


def test_counts_rules_and_errors(lake: MemoryLake, tmp_path: Path) -> None:
    lake.connection.execute("""INSERT INTO tierings VALUES ('r', '{"silver": {"sharp": "sharpness >= 20"}}', now())""")
    for n in range(3):
        lake.add(f"g{n}")
    lake.add("b1", tier="bronze", failed_rules=["silver.sharp", "silver.lit"])
    lake.add("b2", tier="bronze", failed_rules=["silver.sharp"])
    lake.add(
        "t1", tier="rejected", error="'a.jpg' ends after 100 of 2,000 bytes.", failed_rules=["bronze.readable", "silver.lit (unknown)"]
    )
    lake.add("t2", tier="rejected", error="'b.jpg' ends after 7 of 81 bytes.", failed_rules=["bronze.readable"])
    text, page = report(lake, tmp_path)
    rows = " ".join(text.split("\n"))
    assert '<td>silver or better</td><td class="number">3</td>' in rows
    assert '<td>readable</td><td class="number">5</td>' in rows
    assert '<td>silver.sharp</td><td class="number">2</td>' in rows
    assert "1 failed only this" in rows
    assert "2 failed only this" in rows  # the two broken files: what is unknown about them does not count
    assert "… ends after # of # bytes." in rows  # one kind, although names and numbers differ
    assert "for example t1" in rows
    assert "silver.lit (unknown)" not in rows
    assert "<code>sharpness &gt;= 20</code>" in rows
    assert {image["alt"] for image in page.images} == {"a cat"}


def test_everything_from_outside_is_escaped(lake: MemoryLake, tmp_path: Path) -> None:
    lake.add(HOSTILE, caption=HOSTILE, source=HOSTILE, failed_rules=[HOSTILE], format=HOSTILE)
    lake.add("e", error=HOSTILE, tier=HOSTILE, failed_rules=["a"])
    text, page = report(lake, tmp_path)
    assert page.scripts == 0
    assert HOSTILE not in text


def test_the_page_needs_nothing_from_outside(lake: MemoryLake, tmp_path: Path) -> None:
    lake.add("a")
    _, page = report(lake, tmp_path)
    assert page.links
    assert all(link and link.startswith("data:image/jpeg") for link in page.links)


def test_the_number_of_pictures_is_bounded(lake: MemoryLake, tmp_path: Path) -> None:
    groups = [f"00000000-0000-0000-0000-{n:012d}" for n in range(40)]
    for n in range(600):
        lake.add(str(n), failed_rules=[f"silver.r{n % 50}"], is_duplicate=n >= 40, duplicate_group=groups[n % 40])
    text, page = report(lake, tmp_path)
    assert 12 + 20 <= len(page.images) <= 12 + 20 + 32
    assert text.count(">kept</span>") == 5  # one of each group shown
    assert len(text) < 1_000_000


@pytest.mark.parametrize("data", [b"", b"not a picture", jpeg()[:500]])
def test_a_picture_that_cannot_be_read_leaves_a_reason(lake: MemoryLake, tmp_path: Path, data: bytes) -> None:
    lake.add("a")
    text, page = report(lake, tmp_path, lambda uri, offset, length: data)
    assert not page.images
    assert "No preview:" in text


def test_the_bytes_asked_for_are_those_of_the_sample(lake: MemoryLake, tmp_path: Path) -> None:
    asked = []
    lake.add("a", uri="crawl.tar", byte_offset=512, byte_length=99)

    def read(uri: str, offset: int | None, length: int | None) -> bytes:
        asked.append((uri, offset, length))
        return jpeg()

    report(lake, tmp_path, read)
    assert asked == [("crawl.tar", 512, 99)]


def test_evidence_of_generators(tmp_path: Path) -> None:
    lake = MemoryLake()
    said = {"kind": "workflow", "location": "PNG tEXt prompt", "value": f"ComfyUI: {HOSTILE}", "strength": "strong"}
    lake.add("a", aigc_evidence=[said, said])
    lake.add("b", aigc_evidence=[said | {"strength": "camera", "location": "JPEG APP1 EXIF"}])
    lake.add("c")
    page = write_report(lake, tmp_path / "report.html", lambda *_: b"").read_text()
    assert "strong: workflow, PNG tEXt prompt" in page
    assert "33.3 %" in page
    assert "APP1 EXIF" not in page
    assert HOSTILE not in page
