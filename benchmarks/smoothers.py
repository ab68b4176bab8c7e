"""Filters that take grain and texture away and keep edges, of many kinds and with random settings; train_over_smooth.py learns from them.

Every function takes RGB pixels, uint8 (height, width, 3), how strong it should be (0: hardly visible, 1: paint) and a source of chance
for all else, and returns pixels of the same shape. A generator in the same state gives the same kind of filter at every strength.
"""

from collections.abc import Callable

import cv2
import numpy as np

from benchmarks.aigc_defects import UInt8, guided, saved

Float32 = np.ndarray
Smoother = Callable[[UInt8, float, np.random.Generator], UInt8]


def between(low: float, high: float, share: float) -> float:
    """From ``low`` to ``high`` in equal ratios."""
    return float(low * (high / low) ** share)


def levels(x: Float32) -> UInt8:
    return np.clip(x + 0.5, 0, 255).astype(np.uint8)


def bilateral(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    size, colour = int(random.choice([5, 7, 9, 11])), random.uniform(0.8, 1.25)
    return cv2.bilateralFilter(pixels, size, colour * between(14, 110, strength), between(2, 7, strength))


def guided_filter(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    return guided(pixels, int(random.integers(2, 5)) + round(3 * strength), random.uniform(0.8, 1.25) * between(9, 70, strength))


def non_local_means(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    h = random.uniform(0.9, 1.1) * between(5, 18, strength)
    return cv2.fastNlMeansDenoisingColored(pixels, None, h, h, int(random.choice([3, 5])), int(random.choice([9, 13])))


def total_variation(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Chambolle 2004, each channel for itself."""
    weight = random.uniform(0.8, 1.25) * between(5, 40, strength)
    x = np.moveaxis(pixels.astype(np.float32), -1, 0)
    down, across = np.zeros_like(x), np.zeros_like(x)
    for _ in range(25):
        divergence = np.diff(down, axis=1, prepend=0) + np.diff(across, axis=2, prepend=0)
        y = divergence - x / weight
        dy, dx = np.diff(y, axis=1, append=y[:, -1:]), np.diff(y, axis=2, append=y[:, :, -1:])
        norm = 1 + 0.24 * np.sqrt(dy * dy + dx * dx)
        down, across = (down + 0.24 * dy) / norm, (across + 0.24 * dx) / norm
    divergence = np.diff(down, axis=1, prepend=0) + np.diff(across, axis=2, prepend=0)
    return levels(np.moveaxis(x - weight * divergence, 0, -1))


def diffusion(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Perona and Malik 1990."""
    x, kappa = pixels.astype(np.float32), random.uniform(0.8, 1.25) * between(6, 30, strength)
    for _ in range(round(between(5, 25, strength))):
        change = np.zeros_like(x)
        for axis in (0, 1):
            for way in (1, -1):
                step = np.roll(x, way, axis) - x
                change += np.exp(-((step / kappa) ** 2)) * step
        x += 0.2 * change
    return levels(x)


def edge_preserving(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Gastal and Oliveira 2011."""
    flags = int(random.choice([cv2.RECURS_FILTER, cv2.NORMCONV_FILTER]))
    return cv2.edgePreservingFilter(
        pixels, flags=flags, sigma_s=between(5, 60, strength), sigma_r=random.uniform(0.8, 1.2) * between(0.1, 0.5, strength)
    )


def away_from_edges(pixels: UInt8, limit: float) -> Float32:
    """1 on surfaces, 0 on edges higher than ``limit`` levels, soft between; (height, width, 1)."""
    gray = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.2)
    slope = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8))
    return cv2.GaussianBlur(np.clip(1.5 - slope / limit, 0, 1), (0, 0), 1.5)[..., None]


def masked_median(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Skin smoothing as phones do it: a median filter where there is no edge."""
    mask = away_from_edges(pixels, random.uniform(20, 50))
    return levels(pixels + mask * (cv2.medianBlur(pixels, 2 * round(between(1, 5, strength)) + 1).astype(np.float32) - pixels))


def masked_gauss(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """A Gaussian or a mean of squares where there is no edge."""
    mask, spread = away_from_edges(pixels, random.uniform(20, 60)), between(0.8, 4, strength)
    side = 2 * round(1.5 * spread) + 1
    soft = cv2.GaussianBlur(pixels, (0, 0), spread) if random.random() < 0.6 else cv2.blur(pixels, (side, side))
    return levels(pixels + mask * (soft.astype(np.float32) - pixels))


def beauty(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Strongly smoothed, then mixed with the original and sharpened a little, which beauty modes do."""
    soft = cv2.bilateralFilter(pixels, 9, random.uniform(40, 90), random.uniform(3, 6)).astype(np.float32)
    mixed = soft + (0.55 - 0.5 * strength) * (pixels - soft)
    return levels(mixed + random.uniform(0, 0.5) * (mixed - cv2.GaussianBlur(mixed, (0, 0), 1.5)))


def kuwahara(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Kuwahara 1976, as oil paint filters: of the four squares that meet at a pixel, the mean of the calmest."""
    side = 2 * round(between(1, 3, strength)) + 1
    x, gray = pixels.astype(np.float32), cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean, square = cv2.blur(x, (side, side)), cv2.blur(gray * gray, (side, side))
    spread = square - cv2.blur(gray, (side, side)) ** 2
    shifts = [(a, b) for a in (-(side // 2), side // 2) for b in (-(side // 2), side // 2)]
    calmest = np.argmin([np.roll(spread, s, (0, 1)) for s in shifts], axis=0)
    found = np.zeros_like(x)
    for i, s in enumerate(shifts):
        found[calmest == i] = np.roll(mean, s, (0, 1))[calmest == i]
    return levels(found)


def wavelets(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Donoho and Johnstone 1994: small wavelet coefficients set to nothing."""
    from skimage.restoration import denoise_wavelet

    sigma = random.uniform(0.8, 1.2) * between(4, 25, strength) / 255
    wavelet = str(random.choice(["db1", "db2", "sym4"]))
    found = denoise_wavelet(pixels / 255.0, sigma=sigma, wavelet=wavelet, mode="soft", method="VisuShrink", channel_axis=-1)
    return levels(found.astype(np.float32) * 255)


def median(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    return cv2.medianBlur(pixels, 2 * round(between(1, 4, strength)) + 1)


def after_noise(smoother: Smoother, pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """As cameras do it in the dark: grain comes with the picture, and the smoother takes it away with more or less of the rest."""
    noise = random.normal(0, random.uniform(4, 12), pixels.shape)
    return smoother(levels(pixels + noise), strength, random)


def noise_and_means(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    return after_noise(non_local_means, pixels, 0.35 + 0.65 * strength, random)


def noise_and_bilateral(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    return after_noise(bilateral, pixels, 0.35 + 0.65 * strength, random)


def rolling_guidance(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Zhang, Shen, Xu and Jia 2014: blurred, then edges brought back by filters that the last result guides; here guided filters."""
    x, variance = pixels.astype(np.float32), (random.uniform(0.8, 1.25) * between(4, 20, strength)) ** 2
    guide = cv2.GaussianBlur(x, (0, 0), between(0.7, 2.5, strength))
    size = (2 * (2 + round(2 * strength)) + 1,) * 2
    for _ in range(3):
        mean, middle = cv2.blur(guide, size), cv2.blur(x, size)
        share = (cv2.blur(guide * x, size) - mean * middle) / (cv2.blur(guide * guide, size) - mean * mean + variance)
        guide = cv2.blur(share, size) * guide + cv2.blur(middle - share * mean, size)
    return levels(guide)


def least_squares(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Min et al. 2014, "Fast Global Image Smoothing": weighted least squares along rows, then along columns, three times."""
    x, tolerance = pixels.astype(np.float32), random.uniform(0.8, 1.25) * between(4, 18, strength)
    guide, weight = x.copy(), between(2, 60, strength)
    for _ in range(3):
        for _ in range(2):
            step = np.sqrt(((guide[:, 1:] - guide[:, :-1]) ** 2).sum(-1, keepdims=True))
            x = along_rows(x, weight * np.exp(-step / tolerance))
            x, guide = x.swapaxes(0, 1), guide.swapaxes(0, 1)
        weight /= 4
    return levels(x)


def along_rows(x: Float32, tie: Float32) -> Float32:
    """Solves (1 + ties) y - ties * neighbours = x in every row, ``tie`` (height, width - 1, 1) between neighbours (Thomas' algorithm)."""
    x, tie = np.ascontiguousarray(x.swapaxes(0, 1)), np.ascontiguousarray(tie.swapaxes(0, 1))
    none = np.zeros_like(tie[:1])
    left, right = np.concatenate([none, tie]), np.concatenate([tie, none])
    share, found = np.zeros_like(left), np.zeros_like(x)
    for i in range(len(x)):
        scale = 1 + left[i] + right[i] - left[i] * share[i - 1]
        share[i], found[i] = right[i] / scale, (x[i] + left[i] * found[i - 1]) / scale
    for i in range(len(x) - 2, -1, -1):
        found[i] += share[i] * found[i + 1]
    return found.swapaxes(0, 1)


def reduced_between_edges(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Reduced and enlarged again where there is no edge."""
    mask, scale = away_from_edges(pixels, random.uniform(25, 60)), between(0.75, 0.25, strength)
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return levels(pixels + mask * (soft - pixels))


def deblocking(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Nosratinia 2001: the mean of JPEG files of the picture, each shifted otherwise against the blocks."""
    quality, (height, width) = round(between(60, 8, strength)), pixels.shape[:2]
    total = np.zeros(pixels.shape, np.float32)
    shifts = [(i, (3 * i + 1) % 8) for i in range(8)]
    for down, across in shifts:
        moved = cv2.copyMakeBorder(pixels, down, 8 - down, across, 8 - across, cv2.BORDER_REFLECT_101)
        total += saved(moved, quality, True)[down : down + height, across : across + width]
    return levels(total / len(shifts))


def mean_shift(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Comaniciu and Meer 2002: every pixel gets the colour of the nearest mode."""
    return cv2.pyrMeanShiftFiltering(pixels, between(3, 8, strength), random.uniform(0.8, 1.25) * between(8, 30, strength), maxLevel=0)


def flattened(pixels: UInt8, strength: float, random: np.random.Generator) -> UInt8:
    """Xu, Lu, Xu and Jia 2011, "Image Smoothing via L0 Gradient Minimization": as few steps as explain the picture."""
    x = np.moveaxis(pixels.astype(np.float32) / 255, -1, 0)
    height, width = x.shape[1:]
    turns = (np.abs(np.fft.fftfreq(height)[:, None]), np.abs(np.fft.rfftfreq(width)[None]))
    power = sum(4 * np.sin(np.pi * t) ** 2 for t in turns)
    start, limit = np.fft.rfft2(x), random.uniform(0.8, 1.25) * between(0.0008, 0.02, strength)
    tie = 2 * limit
    while tie < 1e5:
        across, down = np.roll(x, -1, 2) - x, np.roll(x, -1, 1) - x
        small = (across**2 + down**2).sum(0) < limit / tie
        across[:, small], down[:, small] = 0, 0
        back = np.roll(across, 1, 2) - across + np.roll(down, 1, 1) - down
        x = np.fft.irfft2((start + tie * np.fft.rfft2(back)) / (1 + tie * power), s=(height, width))
        tie *= 2
    return levels(np.moveaxis(x.astype(np.float32), 0, -1) * 255)


KINDS: dict[str, Smoother] = {
    f.__name__: f
    for f in (
        bilateral,
        guided_filter,
        non_local_means,
        total_variation,
        diffusion,
        edge_preserving,
        masked_median,
        masked_gauss,
        beauty,
        kuwahara,
        wavelets,
        median,
        noise_and_means,
        noise_and_bilateral,
        rolling_guidance,
        least_squares,
        reduced_between_edges,
        deblocking,
        mean_shift,
        flattened,
    )
}
