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
# # 02 Choose thresholds
# A threshold is a guess until somebody has looked. Here: labels, what a threshold does to them, and what it costs.

# %%
import math
import os
from pathlib import Path

import pandas as pd

from pipelines.demo import run_demo
from pipelines.notebook import explore
from pipelines.recipe import load_recipe
from quality.calibrate import calibrate
from quality.diff import moves, snapshot_sql
from quality.label_next import next_to_label
from quality.labels import Labels
from quality.suggest import suggest
from quality.threshold import Goal
from quality.tiers import compile_tiers

DEMO = Path(os.environ.get("GOLDSIEVE_DEMO", "../demo"))
if not (DEMO / "lake").exists():
    run_demo(DEMO)
lake = explore(DEMO / "lake")
recipe = load_recipe(DEMO / "recipe.yaml")

# %% [markdown]
# ## Which samples to label
# An even grid over the order of the signal: with the same number of labels a threshold comes out nearer to its goal than with random ones.

# %%
todo = next_to_label(lake.lake, "sharpness", 12)
listed = ", ".join(f"'{one.sample_id}'" for one in todo)
lake.gallery(f"select sample_id from wide where sample_id in ({listed}) order by sharpness", below=("key", "sharpness"))

# %% [markdown]
# `goldsieve serve LAKE --label` is where one clicks good or bad. The demo knows what it spoiled, so its own labels stand in here.

# %%
truth = pd.read_csv(DEMO / "labels.csv", keep_default_na=False)
truth = truth[truth["defect"].isin(["", "blurred"])]
labels = Labels(tuple(truth["key"]), tuple("bad" if defect else "good" for defect in truth["defect"]), "key")
found = calibrate(lake.lake, "sharpness", labels, Goal(recall=0.98))
print(f"AUC {found.auc:.3f}; {found.sql} keeps {found.recall:.1%} of the good, {found.false_alarms:.1%} of the blurred")

# %%
lake.histogram("log10(greatest(sharpness, 1))", threshold=math.log10(max(found.threshold, 1)))

# %% [markdown]
# ## Which thresholds keep 30 %?
# `goldsieve suggest recipe.yaml --keep 30%` does the same on the command line.

# %%
now, proposals = suggest(lake.lake, recipe.tiers, keep=0.30)
pd.DataFrame(
    [{"moved": p.what, "keeps": p.kept, "share": round(p.share, 3), "thresholds": ", ".join(c.sql for c in p.changes)} for p in proposals]
)

# %% [markdown]
# ## What would move?
# Nothing is written: the rules of the recipe with another threshold are compared with the lake as it is.

# %%
stricter = load_recipe(DEMO / "recipe.yaml", ["silver.sharp=sharpness >= 100"])
before = snapshot_sql(lake.lake, lake.lake.snapshot())
after = compile_tiers(lake.lake.connection, stricter.tiers).select_sql
changed = moves(lake.lake, before, after)
pd.DataFrame([{"from": m.from_tier, "to": m.to_tier, "samples": m.count, "because": ", ".join(c.rule for c in m.causes)} for m in changed])

# %%
ids = ", ".join(f"'{i}'" for m in changed for i, _ in m.examples)
lake.gallery(f"select sample_id from wide where sample_id in ({ids})", below=("key", "sharpness"))
