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
# # 01 First look
# What is in a lake, asked with SQL and seen as pictures. It needs the demo, which `goldsieve demo demo` (or `make demo`) makes;
# if it is not there, the first cell makes it (about a minute).

# %%
import os
from pathlib import Path

from pipelines.demo import run_demo
from pipelines.notebook import explore

DEMO = Path(os.environ.get("GOLDSIEVE_DEMO", "../demo"))
if not (DEMO / "lake").exists():
    run_demo(DEMO)
lake = explore(DEMO / "lake")

# %% [markdown]
# Everything known about a sample is one row of the view `wide`. Any SELECT is a data frame.

# %%
lake.sql(
    "select tier, count(*) as samples, round(avg(sharpness)) as sharpness, round(avg(aesthetic), 2) as aesthetic from wide group by tier order by samples desc"
)

# %% [markdown]
# A query that returns `sample_id` is a gallery. The most and the least pleasing:

# %%
lake.gallery("select sample_id from wide where tier = 'gold' order by aesthetic desc", most=8, below=("key", "aesthetic"))

# %%
lake.gallery("select sample_id from wide where tier = 'gold' order by aesthetic", most=8, below=("key", "aesthetic"))

# %% [markdown]
# What failed which rule? `failed_rules` holds all of them.

# %%
lake.sql("select rule, count(*) as samples from (select unnest(failed_rules) as rule from wide) group by rule order by samples desc")

# %%
lake.gallery("select sample_id from wide where list_contains(failed_rules, 'silver.sharp')", most=8, below=("key", "sharpness"))

# %% [markdown]
# How is a signal spread? The line is the threshold of the rule `silver.sharp`.

# %%
lake.histogram("log10(greatest(sharpness, 1))", threshold=1.3)

# %% [markdown]
# The whole story of one sample: every rule, every number with its place in the lake, its copies.

# %%
blurred = lake.sql("select key from wide where list_contains(failed_rules, 'silver.sharp') order by key limit 1")["key"][0]
lake.sample(blurred)

# %% [markdown]
# The same for everybody, without Python: `goldsieve report LAKE -o report.html` writes one page, `goldsieve serve LAKE` a live one.
