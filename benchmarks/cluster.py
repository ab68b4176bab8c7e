"""Two Ray nodes, PostgreSQL and an S3-compatible store: the same manifest and shards as inline on a local lake; then nodes are killed.

    python -m benchmarks.cluster [--kills 10] [--seed 1] [--tars '../shared/data/flickr8k/*.tar'] [--folder DIR]

The head has one processor, the node that is killed another. All run on this machine: the figures are no speeds of a cluster.
"""

import argparse
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

from pyarrow.fs import FileSelector, S3FileSystem

from benchmarks.common import DATA, GOLDSIEVE, Checks, differing, files, lake_content, write_recipe
from benchmarks.servers import KEYS, Nodes, find_program, new_database, postgres, s3
from manifests import create_lake
from manifests.address import lake_address
from manifests.storage import filesystem

IN_A_PASS_S = 4.0
"""Every other kill comes at most so many seconds after the first block was begun; the others at any moment of the run."""


def noted(data: str) -> bool:
    """Whether a worker has begun a block of a lake."""
    system, path = filesystem(f"{data}/inflight")
    return bool(system.get_file_info(FileSelector(path, allow_not_found=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tars", default=str(DATA / "flickr8k" / "*.tar"))
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if not list(Path(options.tars).parent.glob(Path(options.tars).name)):
        print(f"skipped: there are no tars at {options.tars}")
        return
    if not find_program("pg_ctl"):
        print("skipped: PostgreSQL is not installed")
        return
    folder = options.folder or Path(tempfile.mkdtemp(prefix="cluster-"))
    check, chance = Checks(), random.Random(options.seed)

    def recipe(name: str) -> tuple[Path, Path]:
        source = [{"path": options.tars, "name": "crawl"}]
        lake = folder / name / "lake"
        return write_recipe(folder / name / "recipe.yaml", lake=lake, sources=source, to=folder / name / "gold"), lake

    def start(path: Path, *more: str) -> subprocess.Popen[str]:
        command = [GOLDSIEVE, "run", str(path), *more, "--max-error-rate", "1"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def end(process: subprocess.Popen[str], name: str) -> str:
        _, told = process.communicate(timeout=1800)
        if process.returncode:
            check(f"{name}: exit code", process.returncode, f"0: {told[-600:]}", False)
        return told

    path, local = recipe("inline")
    end(start(path, "--engine", "inline"), "inline")
    wanted, shards = lake_content(local), files(folder / "inline" / "gold")
    print(f"inline, local lake: {wanted['refs'].partition(' ')[0]} samples, {len(shards)} files of gold", flush=True)

    with postgres() as server, s3() as store:
        os.environ.update(KEYS, AWS_ENDPOINT_URL=store)
        S3FileSystem(endpoint_override=store, region="us-east-1", allow_bucket_creation=True).create_dir("lakes")
        nodes = Nodes()
        try:
            took = 0.0
            for n in range(-1, options.kills):
                name = "calm" if n < 0 else f"kill{n}"
                path, lake = recipe(name)
                create_lake(lake_address(lake, f"s3://lakes/{name}", new_database(server.url))).close()
                node, started = nodes.add(), time.monotonic()
                process = start(path, "--address", nodes.address)
                note = ""
                if n >= 0:
                    since = "the first block" if n % 2 else "the start"
                    if n % 2:
                        while process.poll() is None and not noted(f"s3://lakes/{name}"):
                            time.sleep(0.05)
                    time.sleep(after := chance.uniform(0, 1) * (IN_A_PASS_S if n % 2 else took))
                    running = process.poll() is None
                    nodes.kill(node)
                    note = f"node killed {after:.1f} s after {since}" + ("" if running else ", TOO LATE")
                told = end(process, name)
                took = took or time.monotonic() - started
                if n < 0:
                    nodes.kill(node)
                    note = f"undisturbed, {took:.1f} s"
                elif "went away" in told:
                    note += ", in a pass"
                unlike = differing(wanted, lake_content(lake))
                check(f"{name}: {note}; tables that differ, of {len(wanted)}", unlike or 0, "0", not unlike)
                unlike = differing(shards, files(folder / name / "gold"))
                check(f"{name}: files of gold that differ, of {len(shards)}", unlike or 0, "0", bool(shards) and not unlike)
        finally:
            nodes.close()
    check.end()


if __name__ == "__main__":
    main()
