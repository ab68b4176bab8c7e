"""Which patches of a tile the network of `over_smooth` looks at."""

import numpy as np
import pytest

from operators.patches import SIDE, chosen, patches


@pytest.mark.parametrize(("height", "width", "count"), [(64, 64, 1), (127, 200, 3), (256, 256, 16), (63, 300, 0)])
def test_patches_lie_side_by_side(height, width, count):
    tile = np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)
    found = patches(tile)
    assert len(found) == count
    if count > 1:
        assert (found[1] == tile[:SIDE, SIDE : 2 * SIDE]).all()


def test_chosen_ones_reach_from_little_to_much_contrast_and_are_never_blank_or_clipped():
    slope = np.linspace(-1, 1, SIDE)
    contrasts = np.array([0, 1, 5, 10, 20, 40, 60])
    found = np.stack([np.tile(128 + c * slope, (SIDE, 1)) for c in contrasts]).astype(np.uint8)
    black, white = np.clip(found[3:4].astype(int) - 128, 0, 255), np.clip(found[3:4].astype(int) + 128, 0, 255)
    found = np.concatenate([found, black, white]).astype(np.uint8)
    assert contrasts[chosen(found, 64)].tolist() == [5, 10, 20, 40, 60]
    assert contrasts[chosen(found, 3)].tolist() == [5, 20, 60]
    assert len(chosen(found[:1], 64)) == 0
