"""Is this installation in order?"""

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from manifests.address import local_lake
from manifests.connection import connect
from manifests.errors import GoldsieveError
from pipelines.engine import usable_cores
from pipelines.worker import OPENCV_ADVICE

PACKAGES = ("manifests", "operators", "quality", "pipelines")
DISTRIBUTIONS = (
    "ray",
    "duckdb",
    "pyarrow",
    "pandas",
    "webdataset",
    "open_clip_torch",
    "imagehash",
    "scenedetect",
    "pillow",
    "simplejpeg",
    "torch",
)


@dataclass(frozen=True)
class Finding:
    """One check. ``detail`` says what was found or what to do."""

    check: str
    ok: bool
    detail: str


def examine() -> list[Finding]:
    """All checks of the installation (`pipelines.doctor_lake` has those of a lake)."""
    findings = [_one_root(), _python()]
    findings += [_distribution(name) for name in DISTRIBUTIONS]
    findings += [_opencv(), _extensions(), _operators(), Finding("cores", True, str(usable_cores())), Finding("memory", True, _memory())]
    return findings


def _one_root() -> Finding:
    """The four packages have common names: another distribution may own one of them."""
    roots = {name: Path(str(importlib.import_module(name).__file__)).parent.parent for name in PACKAGES}
    if len(set(roots.values())) == 1:
        return Finding("packages", True, str(next(iter(roots.values()))))
    places = "; ".join(f"{name} from {root}" for name, root in roots.items())
    return Finding(
        "packages", False, f"the four packages come from different places ({places}); install goldsieve in an environment of its own"
    )


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    return Finding("python", ok, sys.version.split()[0] + ("" if ok else ": 3.11 or newer is needed"))


def _distribution(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, f"not installed: pip install {name}")


def _opencv() -> Finding:
    try:
        import cv2

        return Finding("opencv", True, cv2.__version__)
    except ImportError as error:
        return Finding("opencv", False, f"{error}; on Debian or Ubuntu: {OPENCV_ADVICE}")


def _extensions() -> Finding:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        try:
            connect(local_lake(folder), read_only=False, create=True).close()
        except GoldsieveError as error:
            return Finding("ducklake", False, str(error))
    return Finding("ducklake", True, "the DuckLake and SQLite extensions load")


def _operators() -> Finding:
    from operators.plugins import available

    try:
        return Finding("operators", True, f"{len(available())} found")
    except GoldsieveError as error:
        return Finding("operators", False, str(error))


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
