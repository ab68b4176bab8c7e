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
# # 03 Duplicates and balance
# Which pictures are copies, which one is kept, and how to keep one theme from filling a data set.

# %%
import os
import shutil
import tempfile
from pathlib import Path

from manifests import open_lake
from pipelines.demo import run_demo
from pipelines.notebook import Explorer, explore
from pipelines.progress import Reporter
from pipelines.run import default_uses, measure_with, recorded_run
from quality.funnel import funnel
from quality.rule_reader import parse_tiers
from quality.tiers import compile_tiers

DEMO = Path(os.environ.get("GOLDSIEVE_DEMO", "../demo"))
if not (DEMO / "lake").exists():
    run_demo(DEMO)
lake = explore(DEMO / "lake")

# %% [markdown]
# ## Copies
# A group shares `duplicate_group`; the kept sample has `is_duplicate = false`. Near copies carry how near they are.

# %%
lake.sql(
    "select duplicate_kind, count(*) as copies, min(near_distance) as nearest, max(near_distance) as farthest from wide where is_duplicate group by all"
)

# %%
lake.gallery(
    "select sample_id from wide where duplicate_group is not null order by duplicate_group, is_duplicate",
    most=12,
    below=("key", "is_duplicate", "duplicate_kind"),
)

# %% [markdown]
# The doubtful ones are those with the largest distance: look at them before you trust the rule.

# %%
lake.gallery("select sample_id from wide where is_duplicate order by near_distance desc nulls last", most=8, below=("key", "near_distance"))

# %% [markdown]
# ## Balance
# What do the pictures show? `concept` reads the embeddings that are there already, so it takes a second. A copy of the lake keeps
# the demo as it is.

# %%
folder = Path(tempfile.mkdtemp())
shutil.copytree(DEMO / "lake", folder / "lake")
with open_lake(folder / "lake", read_only=False) as writing, recorded_run(writing, "measure", None, "inline") as (run_id, _):
    measure_with(writing, default_uses(["concept"]), "inline", None, run_id, Reporter(quiet=True))
copy = Explorer(open_lake(folder / "lake"))
copy.sql("select concept, count(*) as samples from wide where tier = 'gold' group by concept order by samples desc limit 10")

# %% [markdown]
# A cap for each concept, the most pleasing pictures first. The result does not depend on the order of the samples.

# %%
tiers = parse_tiers({"gold": {"unique": "not is_duplicate", "balance": {"by": "concept", "cap": 6, "prefer": "aesthetic"}}})
compiled = compile_tiers(copy.lake.connection, tiers)
for step in funnel(copy.lake.connection, compiled):
    print(f"{step['tier']}.{step['rule']}: {step['remaining']} left")

# %%
balanced = f"select sample_id, tier from ({compiled.select_sql})"
copy.lake.query(
    f"select concept, count(*) as before, count(*) filter (b.tier = 'gold') as after from wide join ({balanced}) b using (sample_id) "
    "where concept is not null group by concept order by before desc limit 10"
).to_pandas()
