"""Commands that make a lake and fill it: init, ingest, protect."""

from typing import Annotated, Literal

import typer

from manifests.errors import UsageError
from pipelines.cli_options import LakeArgument, QuietOption
from pipelines.cli_output import cell, emit_rows, out

Kind = Literal["folder", "webdataset", "parquet", "csv", "jsonl", "coco", "llava", "urls", "video"]


def register(app: typer.Typer) -> None:
    """Add these commands to the app."""
    for command in (init, ingest, protect):
        app.command()(command)


def init(
    lake: LakeArgument,
    catalog: Annotated[
        str | None, typer.Option(help="Catalog database, for example postgresql://user@host/db. Default: SQLite in the lake.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Where Parquet data goes: a folder or s3://bucket/prefix/.")] = None,
) -> None:
    """Create a lake. An existing one is left as it is.

    A team shares a lake that has its catalog in PostgreSQL and its data in an object store; each machine has a folder that says where.
    Passwords and keys come from the environment (PGPASSWORD, ~/.pgpass, AWS_...).

    Example: goldsieve init ./lake

    Example: goldsieve init ./team --catalog postgresql://me@db.example/lake --data s3://bucket/lake/
    """
    from manifests.address import lake_address
    from manifests.opening import create_lake

    if catalog and not data:
        raise UsageError("A catalog elsewhere needs a data location as well: give --data.")
    with create_lake(lake_address(lake, data, catalog)) as made:
        out().print(f"Lake ready: {made.address}", markup=False)


def ingest(
    lake: LakeArgument,
    path: Annotated[str, typer.Argument(help="Folder, tar, table or annotation file; globs and {00000..00099} in quotes.")],
    kind: Annotated[Kind | None, typer.Option(help="Default: guessed from the path.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the source. Default: the folder's or file's name.")] = None,
    media_column: Annotated[str | None, typer.Option(help="Table column with the path or the bytes.")] = None,
    caption_column: Annotated[str | None, typer.Option(help="Table column with the caption.")] = None,
    key_column: Annotated[str | None, typer.Option(help="Table column with the key.")] = None,
    download: Annotated[
        list[str] | None, typer.Option(help="How a list of URLs is fetched: NAME=VALUE, for example per_host=4. See docs/sources.md.")
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Add a source to a lake: references, captions and metadata; no picture is read yet. A list of URLs is downloaded first.

    Run it again after the source changed: new samples are added, changed ones replaced, vanished ones reported. A download that was
    stopped continues where it left off; goldsieve retry fetches failed URLs again.

    Example: goldsieve ingest ./lake 'crawl/{00000..00099}.tar' --name crawl

    Example: goldsieve ingest ./lake laion.parquet --kind urls --download per_host=4
    """
    from manifests.opening import create_lake
    from pipelines.download.options import read_options
    from pipelines.ingest import ingest as ingest_source
    from pipelines.progress import Reporter
    from pipelines.run import recorded_run
    from pipelines.sources import SourceSpec

    settings = read_options(download) if download else None
    spec = SourceSpec(path, kind, name, media_column, caption_column, key_column, download=settings)
    with create_lake(lake) as opened, recorded_run(opened, "ingest", None, "inline") as (_, counts):
        result = ingest_source(opened, spec, Reporter(quiet=quiet))
        counts.update(vars(result))
    emit_rows([vars(result)])


def protect(
    lake: LakeArgument,
    path: Annotated[str, typer.Argument(help="Evaluation pictures: folder, tar, table or annotation file, as for ingest.")],
    name: Annotated[str | None, typer.Option(help="Name of the set. Default: the folder's or file's name.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Default: guessed from the path.")] = None,
    quiet: QuietOption = False,
) -> None:
    """Protect an evaluation set: its pictures are never exported, and no copy of them gets into a tier.

    The next `goldsieve run` (or `measure LAKE protected_copies`, then `tier`) finds the copies.

    Example: goldsieve protect ./lake imagenet/val --name imagenet-val
    """
    from manifests.opening import create_lake
    from pipelines.ingest import protect as protect_source
    from pipelines.progress import Reporter
    from pipelines.run import recorded_run
    from pipelines.sources import SourceSpec

    with create_lake(lake) as opened, recorded_run(opened, "protect", None, "inline") as (_, counts):
        result = protect_source(opened, SourceSpec(path, kind, name), Reporter(quiet=quiet))
        counts.update(vars(result))
        total = opened.value("SELECT count(*) FROM wide WHERE is_protected")
    emit_rows([vars(result)])
    out().print(f"{cell(total)} samples of the lake are protected. Run your recipe again: it finds the copies among the others.")
