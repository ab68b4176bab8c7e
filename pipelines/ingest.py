"""One source into the manifest: listed, downloaded first where it is a list of URLs; protected where it holds evaluation pictures."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from manifests import Lake
from manifests.ingest import IngestResult
from pipelines.progress import Reporter
from pipelines.run_log import event
from pipelines.sources import SourceSpec, guess_kind, list_source, source_name
from pipelines.sources.containers import Held, containers, containers_digest


def ingest(lake: Lake, spec: SourceSpec, reporter: Reporter, *, again: bool = True) -> IngestResult:
    """List one source and bring the manifest in line with it. Reads no media; a list of URLs is downloaded first. Hold the lake's lease.

    ``again`` False: a source of archives or tables whose files have not changed since they were listed is not listed again.
    """
    if (spec.kind or guess_kind(spec.path)) == "urls":
        from pipelines.download.start import downloaded

        spec = downloaded(lake.address, spec, reporter)
    name, scope = source_name(spec), str(Path(spec.path).expanduser().absolute())
    files = containers(spec)
    digest = containers_digest(spec, files)
    if not again and files and (known := lake.listed_before(name, scope, digest)):
        whole = "its file is" if len(files) == 1 else f"its {len(files):,} files are"
        reporter.say(f"ingest {name}: {whole} unchanged, {known.unchanged:,} references")
        return known
    held = Held(files)
    with reporter.meter(f"ingest {name}", 0, "references") as count:

        def say(text: str) -> None:
            event("message", text=text)
            reporter.say(text)

        bad = ""

        def counted() -> Iterator[pa.RecordBatch]:
            nonlocal bad
            for batch in list_source(spec, say):
                count(batch.num_rows, 0)
                held.add(batch)
                bad = bad or first_error(batch)
                yield batch

        result = lake.ingest(name, scope, counted())
    if bad:
        reporter.say(f"{name}: {result.errors:,} without a picture that can be read; goldsieve status lists them. The first is {bad}")
    event("ingest", **vars(result))
    if files and held.all:
        lake.remember_listing(name, scope, digest)
    return result


def first_error(batch: pa.RecordBatch) -> str:
    """Key and error of the first row that has one, or nothing."""
    number = batch.column("error").is_valid().index(True).as_py()
    return f"{batch.column('key')[number]}: {batch.column('error')[number]}" if number >= 0 else ""


def protect(lake: Lake, spec: SourceSpec, reporter: Reporter) -> IngestResult:
    """List a source of evaluation pictures and protect it: neither they nor copies of them get into a tier or an export."""
    result = ingest(lake, spec, reporter)
    lake.protect(result.source)
    return result
