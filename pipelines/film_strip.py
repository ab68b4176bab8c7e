"""Pictures of videos for people: a strip of frames of a clip, its motion over time, a timeline of a video with its cuts.

Pictures are JPEG bytes, drawings are SVG text, fragments are HTML without outside parts; every text in them is escaped.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from manifests.errors import MediaError
from operators.base import Frames
from operators.video.media import VideoMedia
from operators.video.source import VideoFile

STRIP_FRAMES, STRIP_HEIGHT = 6, 84
COLOURS = {"start": "#2a7", "cut": "#27c", "dissolve": "#c80", "fade": "#333"}
FACTS = ("camera_movement", "shot_size", "motion", "luminance", "speech_share", "video_aesthetic_mean", "duration_s")


def film_strip(file: VideoFile, span: tuple[float, float] | None = None, frames: int = STRIP_FRAMES, height: int = STRIP_HEIGHT) -> bytes:
    """``frames`` frames of a clip side by side, ``height`` pixels high, as JPEG. Raises `MediaError`."""
    shown = VideoMedia(file, span).view(Frames(frames, height)).pixels
    pictures = [Image.fromarray(p) for p in shown]
    pictures = [p.resize((max(1, round(p.width * height / p.height)), height), Image.Resampling.BOX) for p in pictures]
    strip = Image.new("RGB", (sum(p.width + 2 for p in pictures), height), "white")
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, 0))
        left += picture.width + 2
    out = io.BytesIO()
    strip.save(out, "JPEG", quality=80)
    return out.getvalue()


def motion_curve(curve: Sequence[float] | None, width: int = 320, height: int = 40) -> str:
    """The column ``motion_curve`` as an SVG line; its title says the highest value, in heights a second."""
    if not curve:
        return ""
    top = max(max(curve), 1e-6)
    x = np.linspace(0, width, len(curve)) if len(curve) > 1 else np.array([0.0])
    points = " ".join(f"{a:.1f},{height - 2 - (height - 4) * value / top:.1f}" for a, value in zip(x, curve, strict=True))
    return (
        f'<svg class="motion" width="{width}" height="{height}" role="img"><title>motion, at most {top:.3f} heights/s</title>'
        f'<polyline points="{points}" fill="none" stroke="#27c" stroke-width="1.5"/></svg>'
    )


def timeline(duration_s: float, shots: Sequence[Mapping[str, Any]], clips: Sequence[Mapping[str, Any]] = (), width: int = 640) -> str:
    """A video as an SVG bar: its shots, coloured by how they are entered, gaps where transitions are, clips as lines below.

    ``shots`` and ``clips``: values of the columns of these names.
    """
    if duration_s <= 0:
        return ""
    scale = width / duration_s
    start = min((shot["start_s"] for shot in shots), default=0.0)
    start = start if start < 0 or start > duration_s else 0.0  # files whose clock does not begin at 0
    parts = [f'<svg class="timeline" width="{width}" height="30" role="img"><rect width="{width}" height="18" fill="#ddd"/>']
    for number, shot in enumerate(shots, start=1):
        left, wide = (shot["start_s"] - start) * scale, max((shot["end_s"] - shot["start_s"]) * scale - 1, 0.5)
        title = f"shot {number}: {shot['start_s']:.2f} to {shot['end_s']:.2f} s, entered by {shot['entry']}"
        colour = COLOURS.get(str(shot["entry"]), "#999")
        parts.append(f'<rect x="{left:.1f}" width="{wide:.1f}" height="18" fill="{colour}"><title>{escape(title)}</title></rect>')
    for clip in clips:
        left, right = (clip["start_s"] - start) * scale, (clip["end_s"] - start) * scale
        parts.append(f'<line x1="{left:.1f}" x2="{right:.1f}" y1="25" y2="25" stroke="#2a7" stroke-width="4"/>')
    return "".join(parts) + "</svg>"


def clip_fragment(row: Mapping[str, Any], file: VideoFile) -> str:
    """A clip as an HTML figure: strip, motion, measures, tier and the rules it failed. ``row``: of ``wide``."""
    span = (row["span_start_s"], row["span_end_s"]) if row.get("span_start_s") is not None else None
    try:
        strip = f'<img alt="frames of the clip" src="data:image/jpeg;base64,{base64.b64encode(film_strip(file, span)).decode()}">'
    except MediaError as error:
        strip = f"<p>{escape(str(error))}</p>"
    facts = [f"{name} {_text(row[name])}" for name in FACTS if row.get(name) is not None]
    failed = row.get("failed_rules") or ()
    reasons = f"{row.get('tier') or 'no tier'}" + (f"; failed: {', '.join(map(str, failed))}" if failed else "")
    return (
        f'<figure class="film-clip">{strip}{motion_curve(row.get("motion_curve"))}<figcaption><b>{escape(str(row["key"]))}</b> '
        f"{escape(' · '.join(facts))}<br>{escape(reasons)}</figcaption></figure>"
    )


def video_fragment(row: Mapping[str, Any], duration_s: float) -> str:
    """A whole video as an HTML figure: its timeline. ``row``: of ``wide``, with ``shots`` and ``clips``."""
    damage = f" · {row['video_damage']}" if row.get("video_damage") else ""
    line = timeline(duration_s, row.get("shots") or (), row.get("clips") or ())
    return f'<figure class="film">{line}<figcaption><b>{escape(str(row["key"]))}</b>{escape(damage)}</figcaption></figure>'


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
