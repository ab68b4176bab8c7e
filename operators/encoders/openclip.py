"""Any model of open_clip, with its own preprocessing and tokenizer.

* Weights are loaded from the caches open_clip fills (Hugging Face's, ``~/.cache/clip``) or from a checkpoint, never downloaded here.
* A model call always has ``batch_size`` rows, the last call filled up with the first row; no autocast, no quantisation.
* What nobody reads is not computed (`openclip_unread`).
* On a processor a call uses one thread, and calls run side by side in the threads of a worker: nothing waits for the slowest part
  of a matrix product, and one thread decodes while another computes.
* A tag trained with QuickGELU gets QuickGELU, whatever the model's configuration says (open_clip only warns then).

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021); github.com/mlfoundations/open_clip.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manifests.errors import MissingDependencyError, UsageError, first_line
from operators.encoders import Float32, Setup, UInt8, parse
from operators.encoders.vectors import unit


class OpenClip:
    """A loaded open_clip model. Raises `MissingDependencyError` and `UsageError` as `operators.encoders.load` says."""

    def __init__(self, setup: Setup) -> None:
        import open_clip
        import torch

        from operators.encoders.openclip_unread import by_context, read_class_token

        if setup.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("device is 'cuda' but this machine has no GPU that torch can use. Use device: cpu.")
        parsed = parse(setup.encoder)
        config = tag_config(parsed.model, parsed.tag) if parsed.tag else {}
        weights = cached(config) if parsed.tag else Path(parsed.file)
        if weights is None:
            raise MissingDependencyError(
                f"The weights of {parsed} are not on this machine. Fetch them with: goldsieve models pull {parsed}"
            )
        model_config = open_clip.get_model_config(parsed.model)
        if model_config is None:
            raise UsageError(
                f"open_clip has no model {parsed.model!r}. `python -c 'import open_clip; print(open_clip.list_models())'` lists them."
            )
        quick = bool(config.get("quick_gelu"))
        if parsed.tag and model_config.get("quick_gelu") and not quick:
            raise UsageError(
                f"The model {parsed.model} uses QuickGELU, but {parsed.tag} was trained without: use the model without -quickgelu."
            )
        try:
            model, _, preprocess = open_clip.create_model_and_transforms(
                parsed.model,
                pretrained=str(weights),
                precision=setup.precision,
                device=setup.device,
                force_quick_gelu=quick,
                image_mean=config.get("mean"),
                image_std=config.get("std"),
                image_interpolation=config.get("interpolation"),
                image_resize_mode=config.get("resize_mode"),
            )
        except Exception as error:  # a checkpoint of another model or a damaged file raises anything
            first = first_line(error)[:200]
            raise UsageError(f"The weights {weights} do not load into the model {parsed.model}: {type(error).__name__}: {first}") from error
        self.name = setup.encoder
        self._model, self._preprocess = model.eval(), preprocess
        read_class_token(self._model)
        self._contexts = by_context(self._model)
        self._tokenize = open_clip.get_tokenizer(parsed.model)
        self._device, self._batch_size = setup.device, setup.batch_size
        self._dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[setup.precision]
        self.dimension = int(model_config["embed_dim"])
        self.logit_scale = float(model.logit_scale.detach().float().exp())

    def encode_images(self, pictures: Sequence[UInt8]) -> Float32:
        from PIL import Image

        inputs = [self._preprocess(Image.fromarray(picture)) for picture in pictures]
        return self._run(self._model.encode_image, inputs, self._dtype)

    def encode_texts(self, texts: Sequence[str]) -> Float32:
        from operators.encoders.openclip_unread import context_of

        found = np.zeros((len(texts), self.dimension), np.float32)
        tokens = list(self._tokenize(list(texts))) if texts else []
        lengths = np.array([context_of(row, list(self._contexts)) for row in tokens])
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            model = self._contexts.get(int(length), self._model)
            found[rows] = self._run(model.encode_text, [tokens[i][:length] for i in rows], None)
        return found

    def _run(self, encode: Any, inputs: Sequence[Any], dtype: Any) -> Float32:
        import torch

        if self._device == "cpu":
            torch.set_num_threads(1)  # of this thread; others that met torch before keep theirs
        results = []
        for start in range(0, len(inputs), self._batch_size):
            part = list(inputs[start : start + self._batch_size])
            batch = torch.stack(part + part[:1] * (self._batch_size - len(part)))
            if self._device == "cuda":
                batch = batch.pin_memory()
            with torch.inference_mode():
                found = encode(batch.to(self._device, dtype, non_blocking=True))
                results.append(found[: len(part)].float().cpu().numpy())
        return unit(np.concatenate(results)) if results else np.zeros((0, self.dimension), np.float32)


def image_side(model: str) -> int:
    """The side in pixels of the square that ``model`` sees. Raises `UsageError` for an unknown model."""
    import open_clip

    config = open_clip.get_model_config(model)
    if config is None:
        raise UsageError(f"open_clip has no model {model!r}.")
    side = config["vision_cfg"].get("image_size", 224)
    return int(min(side) if isinstance(side, (list, tuple)) else side)


def tag_config(model: str, tag: str) -> dict[str, Any]:
    """What open_clip knows of a pretrained tag. Raises `UsageError` for a tag it does not know."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    config: dict[str, Any] = get_pretrained_cfg(model, tag)
    if not config:
        known = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        raise UsageError(f"open_clip has no weights {tag!r} for the model {model!r}. It has: {known}.")
    return config


def cached(config: dict[str, Any]) -> Path | None:
    """The file of a pretrained tag where open_clip would find it without a network, or None."""
    if config.get("hf_hub"):
        from huggingface_hub import try_to_load_from_cache
        from open_clip.constants import HF_WEIGHTS_NAME
        from open_clip.pretrained import _get_safe_alternatives

        repository, name = os.path.split(config["hf_hub"])
        name = name or HF_WEIGHTS_NAME
        for candidate in [*_get_safe_alternatives(name), name]:
            found = try_to_load_from_cache(repository, candidate)
            if isinstance(found, str):
                return Path(found)
    if config.get("url"):
        path = Path("~/.cache/clip").expanduser() / os.path.basename(config["url"])
        return path if path.is_file() else None
    return None


def download(model: str, tag: str) -> Path:
    """Fetch the weights of a pretrained tag into open_clip's cache. Raises `UsageError` where the network or the tag fails."""
    from open_clip.pretrained import download_pretrained

    try:
        return Path(download_pretrained(tag_config(model, tag)))
    except OSError as error:
        raise UsageError(f"The weights {tag!r} of {model!r} cannot be fetched: {error}. Is the network there?") from error
