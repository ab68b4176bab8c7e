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
# # 05 Train from shards
# The export is WebDataset tars with an index: PyTorch streams them, and the manifest answers in pandas and Polars.

# %%
import io
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import torch
import webdataset as wds
from PIL import Image

from pipelines.demo import run_demo
from pipelines.notebook import explore

DEMO = Path(os.environ.get("GOLDSIEVE_DEMO", "../demo"))
if not (DEMO / "gold").exists():
    run_demo(DEMO)
index = json.loads((DEMO / "gold" / "index.json").read_text())
print(index["samples"], "samples in", [shard["name"] for shard in index["shards"]])


# %% [markdown]
# A sample is a picture, a `.txt` and a `.json` with everything the manifest knows, scores included.


# %%
def load(sample):
    media = next(sample[name] for name in index["extensions"] if name in sample)
    facts = json.loads(sample["json"])
    pixels = np.asarray(Image.open(io.BytesIO(media)).convert("RGB").resize((32, 32)), np.float32) / 255
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), torch.tensor([facts["aesthetic"]], dtype=torch.float32)


shards = [str(DEMO / "gold" / shard["name"]) for shard in index["shards"]]
dataset = wds.WebDataset(shards, shardshuffle=100, seed=7, empty_check=False).shuffle(200).map(load).batched(32)
loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=0)

# %% [markdown]
# A training loop as small as can be: it learns to tell how pleasing a picture looks.

# %%
torch.manual_seed(7)
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3, 2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(128, 1)
)
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
for epoch in range(3):
    losses = []
    for pictures, scores in loader:
        loss = torch.nn.functional.mse_loss(model(pictures), scores - 5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f} over {len(losses)} batches")

# %% [markdown]
# The manifest is Arrow, so Polars and pandas read it without a copy.

# %%
lake = explore(DEMO / "lake")
frame = pl.from_arrow(lake.lake.query("select key, tier, width, height, aesthetic, clip_score, license from wide"))
frame.group_by("tier").agg(pl.len().alias("samples"), pl.col("aesthetic").mean().round(2), pl.col("clip_score").mean().round(3)).sort(
    "samples", descending=True
)

# %%
lake.sql(
    "select license, count(*) as samples, sum(byte_length) as bytes from wide where tier = 'gold' group by license order by samples desc"
)
