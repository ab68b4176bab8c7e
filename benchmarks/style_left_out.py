"""What `style` makes of pictures of a source that its head did not learn from: each source is left out in turn.

    python -m benchmarks.style_left_out --work FOLDER --aigc W                          # starter
    python -m benchmarks.style_left_out --encoder clip_b16 --teacher T --aigc W

``--work`` and ``--teacher`` hold what train_starter.py and clip_teacher.py keep, ``--aigc`` what train_aigc_score.py keeps. Prints the
shares of pictures with a `photo_share` of at least 0.1, at least 0.5, and that are called photos; in the end of all sources, none left out.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.aigc_pictures import MATCHED
from benchmarks.clip_teacher import embeddings
from benchmarks.starter_features import image_features
from benchmarks.starter_labels import style_of
from benchmarks.train_aigc_score import features
from benchmarks.train_style import DRAWINGS, labelled, more_styles, style_head
from operators.encoders import EMBEDDED, load, settle
from operators.encoders.starter import Starter
from operators.style import STYLES, softmax

PHOTO = STYLES.index("photo")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=list(EMBEDDED), default="starter")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--aigc", type=Path, required=True)
    args = parser.parse_args()
    model = load(settle(args.encoder))

    def embed(rows: np.ndarray) -> np.ndarray:
        return model.from_image_features(rows) if isinstance(model, Starter) else rows

    if isinstance(model, Starter):
        _, index, images = image_features(args.work)
        known = {name: images[at] for name, at in index.items() if "#" not in name and style_of(name) is not None}
    else:
        known = embeddings(args.teacher)
    rows, kinds = labelled(known)
    more, more_kinds, sources = more_styles(args.aigc, args.encoder)
    rows, more = embed(rows), embed(more)
    data = features(args.aigc, None, None, args.encoder)
    test, shown = data["copies"] < 0, embed(data["x"])
    left_out = [f"art/{package}" for package in DRAWINGS] + list(MATCHED)
    for source in (*left_out, ""):
        kept = sources != source
        head = style_head(np.concatenate([rows, more[kept]]), np.concatenate([kinds, more_kinds[kept]]))
        shares = softmax(shown @ head["style_weight"] + head["style_bias"])
        for group in (source,) if source else np.unique(data["groups"]):
            own = shares[test & (data["groups"] == group)]
            if len(own):
                found = {"at_least_0.1": own[:, PHOTO] >= 0.1, "at_least_0.5": own[:, PHOTO] >= 0.5, "photo": own.argmax(axis=1) == PHOTO}
                shown_as = {name: round(float(which.mean()), 3) for name, which in found.items()}
                print(json.dumps({"source": str(group), "left_out": bool(source), "pictures": len(own), **shown_as}))


if __name__ == "__main__":
    main()
