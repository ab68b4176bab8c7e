"""How likely a generator made a clip, by its frames."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.aigc_score import AigcScore
from operators.banding import Banding
from operators.base import BatchFn, Columns, Frames, Operator, Reads, Row, Scope, per_row
from operators.image_embedding import ImageEmbedding
from operators.moire import Moire
from operators.over_smooth import OverSmooth
from operators.oversharpen_halo import OversharpenHalo
from operators.style import Style
from operators.texture_loss import TextureLoss
from operators.upsampling_grid import UpsamplingGrid
from operators.video.over_frames import reduced, reduced_fields, said

ARTIFACTS: tuple[Operator, ...] = (OverSmooth(), TextureLoss(), Moire(), UpsamplingGrid(), Banding(), OversharpenHalo())


@dataclass(frozen=True)
class VideoAigc:
    """`aigc_score` over ``frames`` frames of a clip at native size: lowest, mean and highest. By the encoder `starter`.

    The score learned from still pictures. Video codecs smooth textures as generators do, so it reads high on compressed video: compare
    clips of one source with each other, and reject nothing by it alone.
    """

    frames: int = 3

    name, version = "video_aigc", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    adds = pa.schema(reduced_fields("video", AigcScore(), ("aigc_score",)))

    @property
    def reads(self) -> Reads:
        return Reads(views=(Frames(self.frames, 0),))

    def open(self) -> BatchFn:
        view, score = Frames(self.frames, 0), AigcScore()
        pictures: list[tuple[Operator, BatchFn]] = [(operator, operator.open()) for operator in (ImageEmbedding(), *ARTIFACTS)]
        style, judge = Style(), score.open()
        name_style = style.open()

        def measure(row: Row) -> dict[str, Any]:
            sampled = row.view(view)
            known: dict[str, Any] = {}
            for operator, run in pictures:
                known |= _without_error(said(run, sampled, operator))
            known |= _without_error(said(name_style, sampled, style, {"image_embedding": known["image_embedding"]}))
            table = {name: known[name] for name in score.reads.columns}
            return reduced("video", {"aigc_score": said(judge, sampled, score, table)["aigc_score"].to_pylist()})

        return per_row(self.adds, measure)


def _without_error(columns: Columns) -> dict[str, Any]:
    return {name: values for name, values in columns.items() if name != "error"}
