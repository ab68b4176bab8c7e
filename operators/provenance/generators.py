"""Recognises what generators write about themselves, string by string.

A text counts only in the field its program writes it to; in a field where people write (captions), a whole block of parameters is
weak evidence and a mere mention none.

Sources, all read in the programs' own code or in files they wrote: stable-diffusion-webui and Forge (``parameters``, UserComment),
ComfyUI (``prompt``, ``workflow``; WebP: EXIF Make and Model), InvokeAI (``invokeai_metadata``, ``sd-metadata``, ``Dream``), NovelAI
(``Software``, ``Comment``), Fooocus (``fooocus_scheme``), SwarmUI (``sui_image_params``), Easy Diffusion, Draw Things, Mochi
Diffusion, Midjourney (``Description``), Grok (signature), GB 45438-2025 (``AIGC``).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from operators.provenance import a1111, comfyui
from operators.provenance.evidence import Evidence, Found, Strength
from operators.provenance.names import credit_of, enhancer_of, generator_of
from operators.provenance.pieces import LATER, Text, first, short

MAX_JSON = 1 << 19
"""Characters of JSON that are parsed: as objects they may take fifty times as much."""
_SCHEMES = ("fooocus", "a1111")
_DREAM = re.compile(r'\s*"(?P<prompt>[^"]{1,4000})"(?= .*-s ?\d)(?= .*-S ?(?P<seed>\d{1,19}))')
_JOB = re.compile(r"(?P<prompt>.*?)\s*(?:--\w[^\n]*)?\s*Job ID: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\s*", re.S)
_MOCHI = re.compile(
    r"(?:^|; )Include in Image: (?P<prompt>.*?);.*?Seed: (?P<seed>\d{1,19}).*?Generator: (?P<generator>Mochi Diffusion[^;]{0,30})", re.S
)
_SIGNATURE = re.compile(r"Signature: ?[A-Za-z0-9+/]{60,}={0,2}\s*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\s*")


def recognise(texts: Sequence[Text]) -> list[Found]:
    """All that the texts of one file tell about generators."""
    keys = {text.key: text.text for text in texts}
    found: list[Found] = []
    for text in texts:
        for read in _READERS[text.place]:
            if (one := read(text, keys)) is not None:
                found.append(one)
                break
    return found


def _found(text: Text, kind: str, value: str, strength: Strength = "strong", **named: Any) -> Found:
    return Found(Evidence(kind, text.where, short(value), strength), **named)


def _software(text: Text, keys: Mapping[str, str]) -> Found | None:
    name = generator_of(text.text)
    if name is not None:
        return _found(text, "software", text.text, generator=name)
    if (credit := credit_of(text.text)) is not None:
        strength: Strength = "strong" if credit[1] else "weak"
        return _found(text, "credit", text.text, strength, generator=generator_of(credit[0]) or credit[0])
    return _found(text, "enhancer", text.text, "weak") if enhancer_of(text.text) else None


def _parameters(text: Text, keys: Mapping[str, str]) -> Found | None:
    """A block as the Stable Diffusion web UI writes it."""
    block = a1111.read(text.text) if "Steps:" in text.text else None
    if block is None:
        return None
    generator = "Fooocus" if keys.get("fooocus_scheme") in _SCHEMES or keys.get("Software", "").startswith("Fooocus") else block.generator
    value = f"{generator}: {block.prompt}"
    strength: Strength = "weak" if text.place == "caption" else "strong"  # people quote such blocks
    return _found(text, "parameters", value, strength, generator=generator, model=block.model, prompt=block.prompt or None, seed=block.seed)


def _json(text: Text, keys: Mapping[str, str]) -> Found | None:
    """JSON of several programs, told apart by the key it stands under and by its own keys."""
    body, key = text.text, text.key
    head = re.match(r"\s*(prompt|workflow|extra_pnginfo)\s*:\s*(?=\{)", body[:40], re.I)
    if head:  # ComfyUI's WebP files: the name in front
        key, body = head[1].lower(), body[head.end() :]
    if body.lstrip()[:1] != "{":
        return None
    try:
        data = json.loads(body) if len(body) <= MAX_JSON else None
    except (ValueError, RecursionError):
        data = None
    if data is None and len(body) >= LATER // 2:  # too long, or cut
        return _cut_json(text, key, body)
    if not isinstance(data, dict):
        return None
    for read in (_comfyui, _invokeai, _swarm, _fooocus, _novelai, _draw_things, _easy_diffusion, _label):
        if (one := read(text, key, data, keys)) is not None:
            return one
    return None


def _cut_json(text: Text, key: str, body: str) -> Found | None:
    """Too long to be read: a graph is still recognised by its nodes."""
    if key.lower() in ("prompt", "workflow") and re.search(r'"class_type"\s*:\s*"|"last_node_id"\s*:\s*\d', body):
        return _found(text, "workflow", "ComfyUI: a graph that is too long to be read", generator="ComfyUI")
    return None


def _comfyui(text: Text, key: str, data: dict[str, Any], keys: Mapping[str, str]) -> Found | None:
    graph = comfyui.read_prompt(data) if key.lower() != "workflow" else None
    graph = graph or comfyui.read_workflow(data)
    if graph is None and isinstance(data.get("prompt"), Mapping):  # video files: both in one comment
        graph = comfyui.read_prompt(data["prompt"])
    if graph is None and isinstance(data.get("prompt"), str) and "workflow" in data and len(data["prompt"]) < MAX_JSON:
        try:
            graph = comfyui.read_prompt(json.loads(data["prompt"]))
        except (ValueError, RecursionError):
            return None
    if graph is None:
        return None
    value = f"ComfyUI: {graph.prompt or 'a graph'}" if graph.makes else "ComfyUI: a graph without a node that makes pictures"
    named = {"model": graph.model, "prompt": graph.prompt, "seed": graph.seed}
    return _found(text, "workflow", value, "strong" if graph.makes else "weak", generator="ComfyUI", **named)


def _invokeai(text: Text, key: str, data: dict[str, Any], keys: Mapping[str, str]) -> Found | None:
    if key in ("invokeai_graph", "invokeai_workflow"):
        return _found(text, "workflow", "InvokeAI: a graph", generator="InvokeAI")
    if key == "invokeai_metadata":
        model = data.get("model")
        name = first(_string(model.get(k)) for k in ("name", "model_name")) if isinstance(model, dict) else _string(model)
        return _made(text, "InvokeAI", name, data.get("positive_prompt"), data.get("seed"))
    image = data.get("image")
    if key == "sd-metadata" and isinstance(image, dict):
        prompt = image.get("prompt")
        if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
            prompt = prompt[0].get("prompt")
        return _made(text, "InvokeAI", data.get("model_weights"), prompt, image.get("seed"))
    return None


def _swarm(text: Text, key: str, data: dict[str, Any], keys: Mapping[str, str]) -> Found | None:
    inner = data.get("sui_image_params")
    return _made(text, "SwarmUI", inner.get("model"), inner.get("prompt"), inner.get("seed")) if isinstance(inner, dict) else None


def _fooocus(text: Text, key: str, data: dict[str, Any], keys: Mapping[str, str]) -> Found | None:
    scheme = keys.get("fooocus_scheme") or keys.get("MakerNote") or data.get("metadata_scheme")
    version = str(data.get("version") or data.get("software") or keys.get("Software") or "")
    if "prompt" not in data or not (scheme in _SCHEMES or "Fooocus" in version[:40]):
        return None
    return _made(text, "Fooocus", data.get("base_model") or data.get("base_model_name"), data["prompt"], data.get("seed"))


def _novelai(text: Text, key: str, data: dict[str, Any], keys: Mapping[str, str]) -> Found | None:
    named = keys.get("Software", "").startswith("NovelAI")
    if not {"prompt", "seed", "steps"} <= data.keys() or not (named or {"uc", "sampler"} <= data.keys()):
        return None
    return _made(text, "NovelAI", keys.get("Source"), data["prompt"], data["seed"])


def _draw_things(text: Text, key: str, data: dict[str, Any], keys: Mapping[str, str]) -> Found | None:
    if not {"c", "model", "sampler", "seed"} <= data.keys():
        return None
    return _made(text, "Draw Things", data["model"], data["c"], data["seed"])


def _easy_diffusion(text: Text, key: str, data: dict[str, Any], keys: Mapping[str, str]) -> Found | None:
    if "prompt" not in data or not {"use_stable_diffusion_model", "num_inference_steps"} & data.keys():
        return None
    return _made(text, "Easy Diffusion", data.get("use_stable_diffusion_model"), data["prompt"], data.get("seed"))


def _label(text: Text, key: str, data: dict[str, Any], keys: Mapping[str, str]) -> Found | None:
    """The label that GB 45438-2025 asks for: 1 generated, 2 probably, 3 suspected."""
    inner = data.get("AIGC")
    label: dict[str, Any] = inner if isinstance(inner, dict) else data if key == "AIGC" else {}
    value = str(label.get("Label", ""))[:1]
    if value not in ("1", "2", "3"):
        return None
    who = _string(label.get("ContentProducer"))
    return _found(text, "label", f"AIGC label {value}: {who}", "strong" if value == "1" else "weak")


def _made(text: Text, generator: str, model: Any, prompt: Any, seed: Any) -> Found:
    number = int(seed) if isinstance(seed, int) or (isinstance(seed, str) and seed.isdecimal() and len(seed) < 20) else None
    named: dict[str, Any] = {"model": _string(model), "prompt": _string(prompt), "seed": number}
    return _found(text, "parameters", f"{generator}: {named['prompt'] or ''}", "strong", generator=generator, **named)


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _easy_diffusion_keys(text: Text, keys: Mapping[str, str]) -> Found | None:
    """Easy Diffusion's PNG files have a chunk a setting."""
    if text.key != "prompt" or not {"use_stable_diffusion_model", "num_inference_steps"} <= keys.keys():
        return None
    return _made(text, "Easy Diffusion", keys["use_stable_diffusion_model"], text.text, keys.get("seed"))


def _dream(text: Text, keys: Mapping[str, str]) -> Found | None:
    match = _DREAM.match(text.text) if text.key == "Dream" else None
    return _made(text, "InvokeAI", None, match["prompt"], match["seed"]) if match else None


def _midjourney(text: Text, keys: Mapping[str, str]) -> Found | None:
    if text.key not in ("Description", "description") or "Job ID: " not in text.text[-100:]:
        return None
    match = _JOB.fullmatch(text.text[-8000:])
    if match is None:
        return None
    strength: Strength = "strong" if text.key == "Description" else "weak"
    return Found(
        Evidence("parameters", text.where, short(f"Midjourney: {text.text}"), strength), "Midjourney", None, match["prompt"] or None
    )


def _mochi(text: Text, keys: Mapping[str, str]) -> Found | None:
    match = _MOCHI.search(text.text[:8000]) if "Generator: Mochi" in text.text[:8000] else None
    return _made(text, "Mochi Diffusion", None, match["prompt"], match["seed"]) if match else None


def _grok(text: Text, keys: Mapping[str, str]) -> Found | None:
    """Grok's files: a signature as description and an identifier as artist."""
    if text.key != "ImageDescription" or not _SIGNATURE.fullmatch(text.text[:2000]) or not _UUID.fullmatch(keys.get("Artist", "")[:60]):
        return None
    return Found(Evidence("signature", text.where, short(f"Grok: {text.text}", 60), "strong"), "Grok")


Reader = Callable[[Text, Mapping[str, str]], Found | None]
_READERS: dict[str, tuple[Reader, ...]] = {
    "software": (_software,),
    "parameters": (_parameters, _easy_diffusion_keys, _dream, _json, _mochi),
    "caption": (_parameters, _midjourney, _mochi, _grok),
}
