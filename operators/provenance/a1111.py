"""Generation parameters as the Stable Diffusion web UI (AUTOMATIC1111) writes them; many programs and sites do the same.

    a prompt, of any number of lines
    Negative prompt: another
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512, Model: name, Version: v1.6.0

Source: stable-diffusion-webui, modules/infotext_utils.py.
"""

import re
from typing import NamedTuple

_PAIR = re.compile(r'\s*([\w][\w /.\-]{0,60}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_OTHERS = {"Sampler", "CFG scale", "Guidance", "Distilled CFG Scale", "Seed", "Size", "Model hash", "Model", "Schedule type"}
_LINE = re.compile(r"(?:^|\n)(?=Steps: ?\d)")
MAX_LINE = 20_000


class Parameters(NamedTuple):
    generator: str
    model: str | None
    prompt: str
    seed: int | None


def read(text: str) -> Parameters | None:
    """None for anything but such a block: a line that begins with ``Steps:`` and names at least three other settings."""
    starts = [match.end() for match in _LINE.finditer(text)]
    if not starts:
        return None
    at = starts[-1]
    pairs = {name.strip(): value.strip().strip('"') for name, value in _PAIR.findall(text[at : at + MAX_LINE].replace("\n", ", "))}
    if len(_OTHERS & pairs.keys()) < 3:
        return None
    prompt = text[:at].split("\nNegative prompt:", 1)[0].removeprefix("parameters").strip()
    seed = pairs.get("Seed", "")
    return Parameters(program(pairs, text), pairs.get("Model"), prompt, int(seed) if seed.isdecimal() and len(seed) < 20 else None)


def program(pairs: dict[str, str], text: str) -> str:
    version, app = pairs.get("Version", ""), pairs.get("App", "")
    if app:
        return app[:60]
    if version.startswith("Fooocus"):
        return "Fooocus"
    if "ComfyUI" in version:
        return "ComfyUI"
    if re.match(r"f\d|neo|forge", version, re.I):
        return "Stable Diffusion WebUI Forge"
    if "Civitai resources" in text or "Civitai metadata" in text:
        return "Civitai"
    return "Stable Diffusion web UI"
