"""Operators on the sound of a clip."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from operators.base import BatchFn, Reads, Row, Scope, Sound, field, per_row
from operators.video.sound import load_speech

PLAIN, WITH_SPEECH = Sound(), Sound(speech=True)


@dataclass(frozen=True)
class AudioFacts:
    """Whether a clip has sound, and how loud, clipped and silent it is. Without sound all but `has_audio` are null.

    Loudness is integrated over the clip (EBU R128, ITU-R BS.1770): -23 is broadcast, about -14 what platforms play; null when all of it is
    below the gate, or shorter than 0.4 s.
    """

    name, version = "audio", "2"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(PLAIN,))
    adds = pa.schema(
        [
            field("has_audio", pa.bool_(), "there is sound: an audio track that reaches into the clip"),
            field("loudness", pa.float32(), "integrated loudness", "LUFS"),
            field("audio_peak", pa.float32(), "highest sample; null: digital silence", "dBFS"),
            field("audio_clipped", pa.float32(), "share of the samples at full scale", "0-1"),
            field("audio_silent", pa.float32(), "share of the time below -60 dBFS", "0-1"),
        ]
    )

    def open(self) -> BatchFn:
        return per_row(self.adds, measure)


def measure(row: Row) -> dict[str, Any]:
    facts = row.view(PLAIN)
    if facts is None:
        return {"has_audio": False}
    return {
        "has_audio": True,
        "loudness": facts.loudness,
        "audio_peak": facts.peak,
        "audio_clipped": facts.clipped,
        "audio_silent": facts.silent,
    }


@dataclass(frozen=True)
class Speech:
    """Share of a clip in which somebody speaks, by Silero VAD (MIT; in the package silero-vad): pieces of 32 ms above 0.5.

    Null without sound. Singing counts in part. Needs `pip install 'goldsieve[speech]'`.
    """

    name, version = "speech", "2"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(WITH_SPEECH,))
    adds = pa.schema([field("speech_share", pa.float32(), "share of the time with speech; null: no sound", "0-1")])

    def open(self) -> BatchFn:
        load_speech()
        return per_row(self.adds, self._measure)

    def _measure(self, row: Row) -> dict[str, Any]:
        facts = row.view(WITH_SPEECH)
        return {"speech_share": facts.speech if facts is not None else None}
