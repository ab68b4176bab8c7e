"""Shots: where a video is cut, and how."""

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Coverage, Reads, Row, Scope, VideoHeader, field, per_row
from operators.video.cuts import DEFAULTS, Detector, found_cuts
from operators.video.track import FrameTrack, Track
from operators.video.transitions import Transition, transitions

HEADER, TRACK, COVERAGE = VideoHeader(), Track(), Coverage()

SHOT = pa.struct(
    [
        pa.field("start_s", pa.float64()),
        pa.field("end_s", pa.float64()),
        pa.field("first_frame", pa.int32()),
        pa.field("frames", pa.int32()),
        pa.field("entry", pa.string()),
    ]
)
"""``start_s``: time of the first frame by the file's clock; ``end_s``: when the last one stops being shown."""


@dataclass(frozen=True)
class Shots:
    """Finds the shots of a whole video: where each begins and ends, to the frame, and how it is entered.

    ``detector``: PySceneDetect's ``adaptive``, ``content``, ``threshold`` or ``hash``, or ``transnetv2`` (Soucek and Lokoc 2020; slower,
    needs `pip install 'goldsieve[transnetv2]'`). ``threshold``: the detector's own scale; 0 means its default (3.0, 27, 12, 0.395, 0.5).
    ``min_frames``: no two hard cuts are nearer (PySceneDetect's `min_scene_len`; the lengths wanted are settings of `clips`).
    ``flashes``: drop cuts that are flashes of light. ``gradual``: find dissolves and fades; their frames belong to no shot. With both off
    the cuts are PySceneDetect's own, to the frame.
    """

    detector: Detector = "adaptive"
    threshold: float = 0.0
    min_frames: int = 8
    flashes: bool = True
    gradual: bool = True

    name, version = "shots", "3"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    adds = pa.schema(
        [
            field("shots", pa.list_(SHOT), "the shots; entry: start, cut, dissolve or fade"),
            field("shot_count", pa.int32(), "shots in the video", "count"),
            field("decoded_s", pa.float64(), "seconds that could be decoded", "s"),
            field("decoded_frames", pa.int32(), "frames that could be decoded", "count"),
            field("video_damage", pa.string(), "what could not be read; null: nothing"),
        ]
    )

    def __post_init__(self) -> None:
        if self.threshold < 0:
            raise ValueError(f"threshold must be 0 (the detector's own) or more, not {self.threshold}")
        if self.min_frames < 1:
            raise ValueError(f"min_frames must be 1 or more, not {self.min_frames}")

    @property
    def reads(self) -> Reads:
        view: Any = TRACK
        if self.detector == "hash":
            from operators.video.hash_cuts import HashCuts

            view = HashCuts(self.threshold or DEFAULTS["hash"], self.min_frames)
        elif self.detector == "transnetv2":
            from operators.video.transnet import TransNetFrames

            view = TransNetFrames()
        return Reads(views=tuple(dict.fromkeys((HEADER, COVERAGE, TRACK, view))), videos="whole")

    def open(self) -> BatchFn:
        threshold = self.threshold or DEFAULTS[self.detector]
        extra = self.reads.views[-1]
        if self.detector == "transnetv2":
            from operators.video.transnet import load_network

            load_network()

        def measure(row: Row) -> dict[str, Any]:
            info, track = row.view(HEADER), row.view(TRACK)
            gradual = self.gradual
            if self.detector == "hash":
                cuts = row.view(extra)
            elif self.detector == "transnetv2":
                from operators.video.transnet import predicted

                return self._row(info, track, predicted(row.view(extra), threshold), row)
            else:
                cuts = found_cuts(track, self.detector, threshold, self.min_frames, info.fps or 25.0)
            if self.detector == "threshold":
                gradual = False  # its cuts are the middles of fades
            return self._row(info, track, transitions(track, cuts, info.fps or 25.0, self.flashes, gradual), row)

        return per_row(self.adds, measure)

    def _row(self, info: Any, track: FrameTrack, found: list[Transition], row: Row) -> dict[str, Any]:
        decoded = row.view(COVERAGE)
        shots = shot_list(track, found, decoded.end_s, info.start_s)
        return {
            "shots": shots,
            "shot_count": len(shots),
            "decoded_s": decoded.end_s,
            "decoded_frames": decoded.frames,
            "video_damage": decoded.damage,
        }


def shot_list(track: FrameTrack, found: list[Transition], end_s: float, start_s: float) -> list[dict[str, Any]]:
    """The stretches between transitions, as values of `SHOT`. ``end_s``: when the last frame ends; ``start_s``: the file's clock then."""
    edges = [Transition(0, 0, "cut"), *found, Transition(len(track), len(track), "cut")]
    shots = []
    for left, right in itertools.pairwise(edges):
        first, stop = left.last, right.first
        if stop <= first:
            continue
        end = float(track.times[stop]) if stop < len(track) else end_s
        entry = left.kind if left.last else "start"
        shots.append(
            {
                "start_s": start_s + float(track.times[first]),
                "end_s": start_s + end,
                "first_frame": first,
                "frames": stop - first,
                "entry": entry,
            }
        )
    return shots
