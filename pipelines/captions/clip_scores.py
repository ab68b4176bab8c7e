"""How well captions fit their picture before and after: cosines with the lake's image embeddings, by the same encoder."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manifests import Lake
from operators.encoders import Encoder, Setup, load

BATCH, WAIT_S = 32, 0.02
"""Texts are encoded together: so many, or what came within so many seconds."""


def lake_encoder(lake: Lake) -> Encoder | None:
    """The encoder of the lake's image embeddings, loaded; None when the lake has none."""
    rows = lake.rows("SELECT arg_max(settings, recorded_at) AS settings FROM operator_versions WHERE name = 'image_embedding'")
    if not rows or rows[0]["settings"] is None:
        return None
    made: dict[str, Any] = json.loads(rows[0]["settings"])
    return load(Setup(**{name: made[name] for name in ("encoder", "precision", "device", "batch_size", "weights")}))


@dataclass
class ClipScorer:
    """Encodes texts in a thread, in batches over all samples under way."""

    encoder: Encoder
    waiting: list[tuple[str, asyncio.Future[np.ndarray]]] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def scores(self, picture: list[float], before: str, after: str) -> tuple[float | None, float]:
        """Cosines of the picture with the caption before (None without one) and after."""
        vector = np.asarray(picture, np.float32)
        old = await self._encode(before) if before.strip() else None
        new = await self._encode(after)
        return (float(vector @ old) if old is not None else None), float(vector @ new)

    def _encode(self, text: str) -> "asyncio.Future[np.ndarray]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[np.ndarray] = loop.create_future()
        self.waiting.append((text, future))
        if len(self.waiting) >= BATCH:
            self._start()
        elif self.timer is None:
            self.timer = loop.call_later(WAIT_S, self._start)
        return future

    def _start(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        batch, self.waiting = self.waiting, []
        task = asyncio.get_running_loop().create_task(self._run(batch))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _run(self, batch: list[tuple[str, "asyncio.Future[np.ndarray]"]]) -> None:
        try:
            async with self.lock:
                vectors = await asyncio.to_thread(self.encoder.encode_texts, [text for text, _ in batch])
        except Exception as error:  # it belongs to those who wait
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), vector in zip(batch, vectors, strict=True):
            if not future.done():
                future.set_result(vector)
