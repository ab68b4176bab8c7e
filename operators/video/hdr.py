"""HDR to SDR: what a PQ or HLG frame looks like on an ordinary screen.

The signal is linearised (SMPTE ST 2084; ITU-R BT.2100 HLG with a display of 1000 cd/m2), brought from BT.2020 to BT.709 primaries,
its luminance compressed by an extended Reinhard curve (Reinhard et al. 2002) that maps reference white (203 cd/m2, ITU-R BT.2408) near
sRGB's and 1000 cd/m2 to full white, and written with sRGB's curve. A stated rule, not a colourist's work.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

WHITE = 203.0
PEAK = 1000.0
TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""BT.2020 to BT.709 primaries, linear light (ITU-R BT.2087)."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def tone_map(rgb16: npt.NDArray[np.uint16], transfer: str) -> npt.NDArray[np.uint8]:
    """``rgb16``: (h, w, 3) BT.2020 signal, full range; ``transfer``: "pq" or "hlg". Returns sRGB of the same shape."""
    light = np.take(_linear(transfer), rgb16 >> 4)
    if transfer == "hlg":  # the display's part of HLG: brighter scenes are shown with more contrast (gamma 1.2 at 1000 cd/m2)
        scene = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light = light * np.power(np.maximum(scene, 1e-6), 0.2)[..., None] * (PEAK / WHITE)
    light = np.maximum(light @ TO_709.T, 0)
    luminance = light @ LUMINANCE
    peak = PEAK / WHITE
    shown = luminance * (1 + luminance / (peak * peak)) / (1 + luminance)
    scale = np.divide(shown, luminance, out=np.zeros_like(shown), where=luminance > 1e-6)
    mapped = np.clip(light * scale[..., None], 0, 1)
    shown8: npt.NDArray[np.uint8] = np.take(_srgb(), (mapped * 4095 + 0.5).astype(np.uint16))
    return shown8


@lru_cache(maxsize=2)
def _linear(transfer: str) -> npt.NDArray[np.float32]:
    """Of a 12-bit signal: light over reference white (PQ), or scene light from 0 to 1 (HLG)."""
    signal = np.arange(4096) / 4095
    if transfer == "pq":
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = signal ** (1 / m2)
        nits = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
        return (np.minimum(nits, 10_000) / WHITE).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)


@lru_cache(maxsize=1)
def _srgb() -> npt.NDArray[np.uint8]:
    light = np.arange(4096) / 4095
    signal = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (signal * 255 + 0.5).astype(np.uint8)
