"""Parts `export` and `ingest`: bytes through Goldsieve, beside the plainest programs that move the same bytes."""

import io
import os
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

from benchmarks.export import make
from benchmarks.pictures import make_pictures
from benchmarks.programs import PEERS
from benchmarks.scores.rows import Bench, Contender, Part, compare, ours, peer, program_version

ROUNDS = 3
SHARD_SAMPLES = 1000


def export(bench: Bench) -> Part:
    """Random bytes as media: an export does not decode them."""
    count, size, folder = 16_000 if bench.full else 5_000, 120_000, bench.scratch / "to-export"
    folder.mkdir()
    make(folder, count, size).close()
    media, megabytes = folder / "media", count * size // 1_000_000
    hashed = 'tar -cf {}/all.tar -C "$1" . && sync {}/all.tar && sha256sum {}/all.tar'
    every = "every file hashed against the manifest; shards hashed, synced"
    writer = "caption and facts as ours; neither hashes nor syncs"
    contenders = [
        ours("Goldsieve, 3 workers", "export", folder / "lake", megabytes, 3, differs=every),
        ours("Goldsieve, 1 worker", "export", folder / "lake", megabytes, 1, differs="the same"),
        command("tar", megabytes, "tar", "-cf", "{}/all.tar", "-C", media, ".", differs="neither hashes nor syncs, no captions"),
        command("tar, sync, sha256sum", megabytes, "sh", "-c", hashed, "sh", media, version="tar", differs="no captions"),
        peer("webdataset.ShardWriter", "webdataset", "shard_writer.py", megabytes, media, differs=writer, fresh=True),
    ]
    rows = compare(bench, contenders, rounds=ROUNDS)
    given = f"{count:,} files of {size // 1000} kB, {megabytes} MB, from the page cache to disk; median of {ROUNDS} rounds"
    notes = (target("export, against `tar`", rows[0].rate, rows[2].rate, 0.6),)
    return Part("export", "Export", "MB/s", given, rows, notes)


def ingest(bench: Bench) -> Part:
    count, folder, tars = 60_000 if bench.full else 12_000, bench.scratch / "to-pack", bench.scratch / "tars"
    make_pictures(folder, 500, 85)
    tars.mkdir()
    total = pack(sorted(folder.rglob("*.jpg")), tars, count)
    megabytes, pattern = total // 1_000_000, tars / "*.tar"
    names = [str(path) for path in sorted(tars.iterdir())]
    listed, read = "members and captions listed by seeking; bodies are not read", "every sample read, SHA-256, `media_facts`, commits"
    each = 'for tar in "$@"; do tar -tf "$tar"; done'
    warm = [
        ours("Goldsieve: ingest", "ingest", pattern, megabytes, "list", differs=listed),
        ours("Goldsieve: ingest and first pass", "ingest", pattern, megabytes, "read", differs=read),
        command("cat", megabytes, "cat", *names, differs="to nowhere"),
        command("sha256sum", megabytes, "sha256sum", *names, differs="reads and hashes, one thread"),
        command("tar -t", megabytes, "sh", "-c", each, "sh", *names, version="tar", differs="lists members by seeking"),
    ]
    cold = [replace(one, tool=f"{one.tool}, from disk", cold=str(tars)) for one in warm[:3]]
    rows = compare(bench, [*warm, *cold], rounds=ROUNDS)
    samples = f"{count:,} samples (picture, caption, JSON)"
    given = f"{len(names)} tars with {samples}, {megabytes} MB, in the page cache unless said otherwise; median of {ROUNDS} rounds"
    notes = (
        target("ingest, against `cat`", rows[0].rate, rows[2].rate, 0.5),
        target("ingest with the first pass, against `cat`", rows[1].rate, rows[2].rate, 0.5),
        target("ingest, against `cat` from disk", rows[5].rate, rows[7].rate, 0.5),
        target("ingest with the first pass, against `cat` from disk", rows[6].rate, rows[7].rate, 0.5),
    )
    return Part("ingest", "Ingest of tars", "MB/s", given, rows, notes)


def command(tool: str, megabytes: int, *words: object, version: str = "", differs: str) -> Contender:
    """A program of the system, timed by `benchmarks/peers/timed.py`."""
    named = program_version(version or str(words[0]))
    line = (sys.executable, str(PEERS / "timed.py"), str(megabytes), named, *map(str, words))
    return Contender(tool, line, differs=differs, fresh=True)


def pack(paths: list[Path], folder: Path, count: int) -> int:
    """WebDataset tars of pictures told apart by bytes behind the end marker; the bytes written."""
    contents = [path.read_bytes() for path in paths]
    for start in range(0, count, SHARD_SAMPLES):
        with tarfile.open(folder / f"{start // SHARD_SAMPLES:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for n in range(start, min(start + SHARD_SAMPLES, count)):
                picture = contents[n % len(contents)] + n.to_bytes(8, "little")
                members = {"jpg": picture, "json": b'{"license": "CC0"}', "txt": f"picture {n}".encode()}
                for extension, data in members.items():
                    info = tarfile.TarInfo(f"{n:09d}.{extension}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    os.sync()
    return sum(path.stat().st_size for path in folder.iterdir())


def target(what: str, one: float | None, other: float | None, least: float) -> str:
    if not one or not other:
        return f"Target {least:.0%} for {what}: not measured."
    return f"Target {least:.0%} for {what}: {'met' if one >= least * other else '**missed**'}, {one / other:.0%}."
