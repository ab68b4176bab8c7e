"""ComfyUI's graphs: ``prompt`` (node id -> class and inputs, what was run) and ``workflow`` (nodes and links, what was drawn)."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

_MAKES = re.compile(
    r"sampl|generat|diffus|txt2|text.?to|img2img|inpaint|imagen|dall|flux|ideogram|recraft|kling|minimax|luma|runway|veo|gpt", re.I
)
_LOADERS = ("ckpt_name", "unet_name", "model_name", "base_ckpt_name", "ckpt", "model")
_TEXTS = ("text", "text_g", "positive", "prompt", "string", "value", "clip_l", "t5xxl")
MAX_NODES = 5000


class Graph(NamedTuple):
    """``makes``: has a node that makes pictures, so it is not just one that loads and saves them."""

    makes: bool
    model: str | None
    prompt: str | None
    seed: int | None


def read_prompt(data: Any) -> Graph | None:
    """From the JSON of ``prompt``; None where it is none."""
    if not isinstance(data, Mapping) or not data:
        return None
    nodes = {str(k): v for k, v in list(data.items())[:MAX_NODES] if isinstance(v, Mapping) and isinstance(v.get("class_type"), str)}
    if not nodes or len(nodes) * 2 < min(len(data), MAX_NODES):
        return None
    inputs = {key: node["inputs"] if isinstance(node.get("inputs"), Mapping) else {} for key, node in nodes.items()}
    makers = [key for key, node in nodes.items() if _MAKES.search(node["class_type"])]
    model = next((v for values in inputs.values() for n in _LOADERS if isinstance(v := values.get(n), str)), None)
    seeds = (v for key in [*makers, *nodes] for n in ("seed", "noise_seed") if isinstance(v := inputs[key].get(n), int))
    prompt = next((text for key in makers if (text := _follow(inputs, key, 0))), None)
    if prompt is None:
        encoded = [inputs[key].get("text") for key, node in nodes.items() if "TextEncode" in node["class_type"]]
        prompt = next((text for text in encoded if isinstance(text, str) and text.strip()), None)
    return Graph(bool(makers), model, prompt, next(seeds, None))


def _follow(inputs: Mapping[str, Mapping[str, Any]], key: str, depth: int) -> str | None:
    """The text that reaches a node, up the links of its positive conditioning."""
    if depth > 12 or key not in inputs:
        return None
    values = inputs[key]
    for name in ("positive", "conditioning", "guider", *_TEXTS):
        value = values.get(name)
        if isinstance(value, str) and name in _TEXTS and value.strip():
            return value
        if isinstance(value, list) and len(value) == 2 and (text := _follow(inputs, str(value[0]), depth + 1)):
            return text
    return None


def read_workflow(data: Any) -> Graph | None:
    """From the JSON of ``workflow``; model, prompt and seed are not looked for: their places differ from node to node."""
    nodes = data.get("nodes") if isinstance(data, Mapping) else None
    if not isinstance(nodes, list) or not ({"links", "last_node_id", "last_link_id"} & data.keys()):
        return None
    kinds = [node["type"] for node in nodes[:MAX_NODES] if isinstance(node, Mapping) and isinstance(node.get("type"), str)]
    return Graph(any(_MAKES.search(kind) for kind in kinds), None, None, None) if kinds else None
