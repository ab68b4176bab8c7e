"""Text in a picture: how much of it, what it says, and whether it looks like a watermark.

Found and read by PP-OCRv6 small (PaddleOCR; Apache-2.0) as the package rapidocr carries it. Slow beside other measures: see `TextArea`.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Pixels, Reads, Row, Scope, field, per_row
from operators.packaged_models import packaged_file, require

EXTRA = "ocr"
VIEW = Pixels(min_side=736)
READ = 50  # at most so many pieces of text are read, the largest: bounds the time a page takes
LENGTH = 1000  # characters of text kept
MODELS = {"Det": "PP-OCRv6_det_small", "Rec": "PP-OCRv6_rec_small", "Cls": "ch_ppocr_mobile_v2.0_cls_mobile"}

AGENCIES = re.split(
    r"\s+",
    "shutterstock gettyimages istock istockphoto alamy dreamstime depositphotos 123rf adobestock bigstock bigstockphoto vectorstock "
    "canstockphoto freepik pngtree envato stocksy pond5 fotolia masterfile mostphotos featurepics colourbox picfair eyeem "
    "imagebroker agefotostock vecteezy stockfresh storyblocks photocase "
    "视觉中国 图虫创意 图虫 摄图网 包图网 千图网 千库网 昵图网 全景网 东方ic 汇图网",
)
LINK = re.compile(
    r"(?:https?://|www\.)\S+"
    r"|(?<![\w@.-])(?:[\w-]{2,63}\.){1,4}(?:com|org|net|info|io|co|co\.uk|de|fr|it|es|ru|cn|jp|in|pl|nl|tv|me)\b(?:/\S*)?"
    r"|(?<!\w)@[A-Za-z][\w.]{2,30}"  # handle
    r"|(?:©|\([cC]\)).{0,60}",
    re.I,
)


@dataclass(frozen=True)
class TextArea:
    """Share of a picture covered by text, the text itself, and text that looks like a watermark.

    Found in a copy of at most ``longer_side`` pixels; read in the sharper view. Pieces that are read with less than
    ``min_confidence`` or as a single character are no text: textures often look like letters. The 50 largest pieces are read; what
    is left on a page with more counts as text unread. Chinese and English are read well; other scripts may be found and misread.

    `watermark_text` is a hint: the name of a stock agency (one or two letters may be misread), else an address, handle or copyright
    line. A shop's web address on a van is found as well. Agency names laid over 48 photographs
    were recognised in 45, 34 and 18 of them at an opacity of 50, 35 and 20 %.

    A picture takes 0.15 to 0.4 s of one core, more when much is written on it: give it a `when` in the recipe.
    Needs `pip install 'goldsieve[ocr]'`.
    """

    longer_side: int = 736
    min_confidence: float = 0.6

    name, version = "text_area", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW,))
    adds = pa.schema(
        [
            field("text_area", pa.float32(), "share of the picture covered by text", "0-1"),
            field("text_lines", pa.int32(), "pieces of text; words far apart in one line are several", "count"),
            field("text_in_image", pa.string(), "what is written, a line a piece, at most 1000 characters; null: nothing readable"),
            field("watermark_text", pa.string(), "stock agency, address, handle or copyright line seen; null: none"),
        ]
    )

    def __post_init__(self) -> None:
        if not 64 <= self.longer_side <= 4096:
            raise ValueError(f"longer_side must be from 64 to 4096, not {self.longer_side}")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence must be from 0 to 1, not {self.min_confidence}")

    def open(self) -> BatchFn:
        import cv2

        cv2.setNumThreads(1)  # rows run in parallel already
        ocr = load_ocr()

        def measure(row: Row) -> dict[str, Any]:
            bgr = np.ascontiguousarray(row.view(VIEW)[:, :, ::-1])
            factor = max(max(bgr.shape[:2]) / self.longer_side, 1.0)
            small = cv2.resize(bgr, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA) if factor > 1 else bgr
            boxes = ocr.text_det(small).boxes  # (n, 4, 2) corners, in reading order; None: no text
            if boxes is None:
                return {"text_area": 0.0, "text_lines": 0}
            largest = np.argsort([-cv2.contourArea(box) for box in boxes.astype(np.float32)], kind="stable")[:READ]
            looked_at = np.sort(largest)
            read = ocr.recognize_txt(ocr.crop_text_regions(bgr, (boxes[looked_at] * factor).astype(np.float32)))
            texts = [text.strip() if score >= self.min_confidence else "" for text, score in zip(read.txts, read.scores, strict=True)]
            is_text = np.ones(len(boxes), bool)
            is_text[looked_at] = [sum(map(str.isalnum, text)) >= 2 for text in texts]
            lines = [text for text, good in zip(texts, is_text[looked_at], strict=True) if good]
            covered = cv2.fillPoly(np.zeros(small.shape[:2], np.uint8), list(boxes[is_text].astype(np.int32)), 1)
            return {
                "text_area": float(covered.mean()),
                "text_lines": int(is_text.sum()),
                "text_in_image": "\n".join(lines)[:LENGTH] or None,
                "watermark_text": watermark(lines),
            }

        return per_row(self.adds, measure)


def load_ocr() -> Any:
    """A ``RapidOCR`` on one thread, without the direction classifier. Raises `MissingDependencyError` without the package."""
    params: dict[str, Any] = {f"{part}.model_path": str(packaged_file("rapidocr", f"models/{n}.onnx", EXTRA)) for part, n in MODELS.items()}
    engine = "EngineConfig.onnxruntime"
    params |= {f"{engine}.intra_op_num_threads": 1, f"{engine}.inter_op_num_threads": 1, "Global.log_level": "critical"}
    # A fixed limit keeps the detector free of state that concurrent calls would share.
    params |= {"Det.limit_type": "min", "Det.limit_side_len": 32}
    return require("rapidocr", EXTRA).RapidOCR(params=params)


def watermark(lines: Iterable[str]) -> str | None:
    """The first name of a stock agency in ``lines``, else the first address, handle or copyright line; at most 100 characters."""
    found = list(lines)
    for line in found:
        letters = re.sub(r"[\W_]+", "", line.casefold())
        words = re.findall(r"[^\W_]+", line.casefold())
        for agency in AGENCIES:
            named = agency in letters if len(agency) > 5 or not agency.isascii() else agency in words
            if named or (len(agency) > 8 and difflib.get_close_matches(agency, [letters, *words], 1, 0.85)):
                return agency
    links = (LINK.search(line) for line in found)
    return next((link.group().strip()[:100] for link in links if link), None)
