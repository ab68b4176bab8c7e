"""`benchmarks.dedup` without pictures: pair search, growth, increments, semantic duplicates, Ray, determinism."""

import argparse
import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.common import Checks
from benchmarks.programs import PEERS, environment
from operators.hamming import pair_blocks
from operators.near_duplicates import kept_rows
from operators.near_rule import Rows, Rule
from operators.near_update import updated

Hashes = npt.NDArray[np.uint64]
GIB = 1 << 30
PEER_SECONDS = 600


def peak() -> float:
    """Peak memory of this process in GiB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


@contextmanager
def clock() -> Iterator[list[float]]:
    """[seconds, seconds of processor time of this process]: the second is disturbed less by other work on the machine."""
    taken = [0.0, 0.0]
    started, used = time.perf_counter(), time.process_time()
    yield taken
    taken[:] = time.perf_counter() - started, time.process_time() - used


def realistic(n: int, seed: int = 0) -> Hashes:
    """Hashes as a crawl has them: a quarter are copies of others with 0 to 10 bits changed; one in 2,000 pictures has a hundred copies."""
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2**64, n - n // 4, dtype=np.uint64)
    popular = rng.integers(0, max(1, n // 2_000), n // 4)
    copies = base[np.where(rng.random(n // 4) < 0.2, popular, rng.integers(0, len(base), n // 4))]
    for _ in range(10):
        flip = rng.random(len(copies)) < rng.random(len(copies))
        copies = np.where(flip, copies ^ (np.uint64(1) << rng.integers(0, 64, len(copies), dtype=np.uint64)), copies)
    return rng.permutation(np.concatenate([base, copies]))


def count_pairs(hashes: Hashes, radius: int) -> int:
    return sum(len(left) for left, _, _ in pair_blocks(hashes, radius))


def warm() -> None:
    """Compile first: it happens once a machine."""
    for radius in (7, 10):
        count_pairs(realistic(6_000), radius)


def pairs(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    rows, radius = options.rows or 1_000_000, options.radius
    warm()
    some = realistic(50_000)
    distance = 0
    expected: set[tuple[int, int]] = set()
    for start in range(0, len(some), 500):
        near = np.bitwise_count(some[start : start + 500, None] ^ some[None]) <= radius
        i, j = np.nonzero(near)
        expected |= {(a + start, b) for a, b in zip(i.tolist(), j.tolist(), strict=True) if a + start < b}
        distance += len(i)
    found = [(a, b) for i, j, _ in pair_blocks(some, radius) for a, b in zip(i.tolist(), j.tolist(), strict=True)]
    check(f"pairs of 50,000 as by brute force, radius {radius}", len(found), f"= {len(expected)}", sorted(found) == sorted(expected))
    hashes = realistic(rows)
    with clock() as taken:
        total = count_pairs(hashes, radius)
    seconds, memory = (25, 4) if rows <= 1_000_000 else (360, 12)
    check(
        f"{rows:,} hashes, radius {radius}: {taken[1]:.0f} s of processor, {total:,} pairs; s",
        f"{taken[0]:.1f}",
        f"< {seconds}",
        taken[0] < seconds,
    )
    with clock() as grouped:
        kept_rows(hashes, np.zeros(rows, np.uint64), radius, 64)
    check(f"  groups of them: {grouped[1]:.0f} s of processor; s", f"{grouped[0]:.1f}", f"< {seconds}", grouped[0] < seconds)
    check("  peak memory, GiB", f"{peak():.2f}", f"< {memory}", peak() < memory)
    if not options.no_peers and rows <= 1_000_000:
        for tool, sizes in (("faiss", (100_000,)), ("imagededup", (10_000, 20_000, 50_000))):
            for size in sizes:
                peer = peer_search(tool, size, radius, options.peers or scratch, scratch)
                if peer is None:
                    break
                with clock() as taken:
                    total = count_pairs(realistic(size), radius)
                print(
                    f"      {size:,} hashes: {peer['version']} {peer['seconds']:.2f} s ({peer['pairs']:,} pairs), "
                    f"ours {taken[0]:.2f} s ({total:,} pairs), {peer['seconds'] / taken[0]:.1f}x",
                    flush=True,
                )


def peer_search(tool: str, size: int, radius: int, environments: Path, scratch: Path) -> dict[str, Any] | None:
    """What another tool needed for `realistic` hashes; None when it did not finish in ten minutes."""
    path = scratch / "hashes.npy"
    np.save(path, realistic(size))
    python = environment("faiss" if tool == "faiss" else "data-juicer", environments)
    command = [python, PEERS / "pair_search.py", tool, path, str(radius)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        print(f"      {tool} did not finish {size:,} hashes in {PEER_SECONDS} s", flush=True)
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


GROWTH = (1_000, 3_000, 10_000, 30_000, 50_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
AT_ONCE = {"faiss": 300_000, "imagededup": 50_000}
"""Their time grows with the square of the hashes: the next size takes more than ten minutes (imagededup), or is known by then."""


def growth(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    """Seconds by N, ours and other tools', as a table; a picture where ``--plot`` says."""
    warm()
    sizes = [size for size in GROWTH if size <= (options.rows or 10_000_000)]
    curves: dict[str, list[tuple[int, float]]] = {}
    for radius in (10, 7):
        for size in sizes:
            if radius == 10 and size > 3_000_000:
                continue
            with clock() as taken:
                count_pairs(realistic(size), radius)
            note(curves, f"Goldsieve, radius {radius}", size, taken[0])
    for tool in () if options.no_peers else ("faiss", "imagededup"):
        for size in (size for size in sizes if size <= AT_ONCE.get(tool, size)):
            found = peer_search(tool, size, 10, options.peers or scratch, scratch)
            if found is None:
                break
            note(curves, f"{found['version']}, radius 10", size, found["seconds"])
    print(f"\n| hashes | {' | '.join(curves)} |\n|---|{'---|' * len(curves)}")
    for size in sizes:
        cells = [next((f"{seconds:.2f} s" for n, seconds in curve if n == size), "") for curve in curves.values()]
        print(f"| {size:,} | {' | '.join(cells)} |")
    for name, curve in curves.items():
        (n, before), (more, after) = curve[-2:]
        print(f"      {name}: time grows with N to the power of {np.log(after / before) / np.log(more / n):.2f} at the end")
    if options.plot:
        draw(curves, options.plot)


def note(curves: dict[str, list[tuple[int, float]]], name: str, size: int, seconds: float) -> None:
    curves.setdefault(name, []).append((size, seconds))
    print(f"      {name}: {size:,} hashes in {seconds:.2f} s (load {os.getloadavg()[0]:.1f})", flush=True)


def draw(curves: dict[str, list[tuple[int, float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for (name, curve), line in zip(curves.items(), ("-o", "--o", "-s", "-^"), strict=False):
        axes.loglog(*zip(*curve, strict=True), line, label=name)
    axes.set(xlabel="hashes of 64 bits, a quarter of them copies", ylabel="seconds, two cores", title="All pairs within a Hamming radius")
    axes.grid(True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def incremental(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    rows, new, rule = options.rows or 1_000_000, 10_000, Rule(10, 12)
    warm()
    phash, dhash = realistic(rows + new), realistic(rows + new, 1) & np.uint64(0x3F)
    known = np.ones(rows + new, bool)
    known[np.random.default_rng(3).choice(rows + new, new, replace=False)] = False
    old = np.flatnonzero(known)
    leader = np.arange(rows + new)
    leader[old] = old[kept_rows(phash[old], dhash[old], rule.radius, rule.check_radius)[0]]
    with clock() as taken:
        found = updated(leader, known, Rows(phash, dhash), rule)
    with clock() as rebuilt:
        full = kept_rows(phash, dhash, rule.radius, rule.check_radius)[0]
    check(
        f"{new:,} new against {rows:,}: {taken[1]:.1f} s of processor (full: {rebuilt[1]:.0f}); s", f"{taken[0]:.1f}", "< 10", taken[0] < 10
    )
    check("  equal to a full rebuild", bool((found == full).all()), "True", bool((found == full).all()))


def semantic(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    from operators.cells import whole
    from operators.semantic_duplicates import groups

    rows, width = options.rows or 1_000_000, 256
    rng = np.random.default_rng(0)
    themes = rng.standard_normal((2_000, width), np.float32)
    vectors = np.empty((rows, width), np.float32)
    of = np.arange(rows)
    of[rows - rows // 10 :] = rng.integers(0, rows - rows // 10, rows // 10)  # a tenth are repeats
    for start in range(0, rows, 50_000):
        part = slice(start, min(start + 50_000, rows))
        count = part.stop - part.start
        vectors[part] = themes[rng.integers(0, len(themes), count)] + rng.standard_normal((count, width), np.float32)
        repeats = np.flatnonzero(of[part] != np.arange(part.start, part.stop))
        noise = rng.standard_normal((len(repeats), width), np.float32)
        vectors[part][repeats] = vectors[of[part][repeats]] + np.float32(0.1) * noise
    with clock() as taken:
        made = whole(vectors)
        del vectors
        leader, _, _ = groups(made, 0.95, True)
    repeated = np.flatnonzero(of != np.arange(rows))
    together = np.mean(leader[repeated] == leader[of[repeated]])
    check(f"{rows:,} x {width}: {taken[1]:.0f} s of processor; s", f"{taken[0]:.0f}", "< 600", taken[0] < 600)
    check("  peak memory, GiB (with making the data)", f"{peak():.2f}", "< 8", peak() < 8)
    check("  repeats found in one group with their original", f"{together:.4f}", ">= 0.95", bool(together >= 0.95))


def ray_path(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    """Four partitions; a task kills its own worker process at its first try."""
    import ray

    from pipelines import duplicates_ray

    rows = options.rows or 200_000
    phash, dhash = realistic(rows), realistic(rows, 1) & np.uint64(0x3F)
    expected = kept_rows(phash, dhash, 10, 12)[0]
    real = duplicates_ray.search_task
    marker = str(scratch / "killed")

    def deadly(made: duplicates_ray.Plan, one: int, two: int, threads: int = 1) -> str:
        name = real(made, one, two, threads)
        if (one, two) == (1, 2) and not os.path.exists(marker):
            Path(marker).touch()
            os.kill(os.getpid(), 9)
        return name

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        duplicates_ray.search_task = deadly
        with clock() as taken:
            found = duplicates_ray.kept_rows_in(scratch / "pairs", 4, ray, phash, dhash, 10, 12)
    finally:
        duplicates_ray.search_task = real
        ray.shutdown()
    check(f"{rows:,} hashes, 4 partitions, {taken[0]:.1f} s: a worker was killed", Path(marker).exists(), "True", Path(marker).exists())
    check("  groups as in one process", bool((found == expected).all()), "True", bool((found == expected).all()))


def determinism(options: argparse.Namespace, scratch: Path, check: Checks) -> None:
    """Pictures through whole lakes: shuffled order of ingestion, two engines; and the search with other steps and threads."""
    from benchmarks.dedup_lakes import groups_of
    from operators import hamming

    expected = groups_of(scratch / "a", "inline", seed=0)
    for label, engine, seed in (("shuffled order of ingestion", "inline", 1), ("shuffled, engine ray", "ray", 2)):
        found = groups_of(scratch / f"{engine}{seed}", engine, seed)
        check(f"{label}: groups and kept copies of {len(expected)} pictures", found == expected, "True", found == expected)
    phash, dhash = realistic(60_000), realistic(60_000, 1) & np.uint64(0x3F)
    full = kept_rows(phash, dhash, 10, 12)[0]
    for step, room in ((1_000, 4_000_000), (60_000, 50_000), (7_777, 100)):
        hamming.ROWS_A_STEP, hamming.PAIRS_A_STEP = step, room
        same = bool((kept_rows(phash, dhash, 10, 12)[0] == full).all())
        check(f"steps of {step:,} rows, room for {room:,} pairs: the same groups", same, "True", same)
