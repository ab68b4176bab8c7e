# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 Write an operator
# A measurement of your own: settings, the columns it adds, one function. It runs with all the others, is measured once a file, and can
# be used in rules at once.

# %%
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from manifests import open_lake
from operators.base import BatchFn, Pixels, Reads, Row, Scope, field, per_row
from pipelines.demo import run_demo
from pipelines.notebook import Explorer
from pipelines.passes import OperatorUse
from pipelines.progress import Reporter
from pipelines.run import measure_with, recorded_run

DEMO = Path(os.environ.get("GOLDSIEVE_DEMO", "../demo"))
if not (DEMO / "lake").exists():
    run_demo(DEMO)

# %% [markdown]
# How warm does a picture look? The mean of red minus blue, from -1 (blue) to 1 (red). `min_side` says how small the view may be: a
# JPEG is then decoded at a fraction of its size.

# %%
PIXELS = Pixels(min_side=64)


@dataclass(frozen=True)
class Warmth:
    """Mean of red minus blue."""

    name, version, gpus = "warmth", "1", 0.0
    scope: ClassVar[Scope] = "batch"
    reads = Reads(views=(PIXELS,))
    adds = pa.schema([field("warmth", pa.float32(), "mean of red minus blue", "-1 to 1")])

    def open(self) -> BatchFn:
        def measure(row: Row) -> dict[str, Any]:
            pixels = row.view(PIXELS).astype(np.float32)
            return {"warmth": float((pixels[..., 0] - pixels[..., 2]).mean() / 255)}

        return per_row(self.adds, measure)


# %%
folder = Path(tempfile.mkdtemp())
shutil.copytree(DEMO / "lake", folder / "lake")
with open_lake(folder / "lake", read_only=False) as writing, recorded_run(writing, "measure", None, "inline") as (run_id, _):
    print(measure_with(writing, [OperatorUse(Warmth())], "inline", None, run_id, Reporter(quiet=True)))
lake = Explorer(open_lake(folder / "lake"))

# %%
lake.gallery("select sample_id from wide where warmth is not null order by warmth desc", most=8, below=("key", "warmth"))

# %%
lake.gallery("select sample_id from wide where warmth is not null order by warmth", most=8, below=("key", "warmth"))

# %%
lake.histogram("warmth", threshold=0)

# %% [markdown]
# To share it, put the class in a package with the entry point group `goldsieve.operators` (docs/writing-an-operator.md); then recipes
# name it like any other.
