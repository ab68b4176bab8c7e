"""What is known of the pictures of starter_data.py by their names: style, and whether they are for testing alone."""

import zlib
from pathlib import Path

from operators.style import STYLES

_KEYWORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "photo",
        (
            *(
                "_photography",
                "polaroid_photo",
                "fooocus_photograph",
                "photo_film",
                "photo_glamour",
                "photo_hdr",
                "photo_iphone",
                "photo_long",
            ),
            *("photo_neon", "photo_tilt", "sai_analog", "sai_photographic", "sai_cinematic", "dufaycolor", "albumen", "calotype"),
            *("ads_automotive", "ads_real_estate", "ads_fashion", "fooocus_cinematic", "cinematic_diva"),
        ),
    ),
    ("anime", ("anime", "manga", "cel_shaded", "kawaii", "fooocus_pony", "game_pokemon")),
    (
        "3d_render",
        ("3d", "action_figure", "craft_clay", "lowpoly", "isometric", "minecraft", "fortnite", "sketchup", "terragen", "game_gta"),
    ),
    (
        "painting",
        (
            *(
                "paint",
                "impression",
                "expressionis",
                "baroque",
                "rococo",
                "renaissance",
                "cubis",
                "fauvism",
                "watercolor",
                "van_gogh",
                "pollock",
            ),
            *(
                "singer_sargent",
                "pointillism",
                "classicism",
                "surreal",
                "ukiyo",
                "sumi_e",
                "basquiat",
                "color_field",
                "alcohol_ink",
                "suprematism",
            ),
        ),
    ),
    (
        "illustration",
        (
            *(
                "comic",
                "drawing",
                "line_art",
                "vector",
                "flat_2d",
                "sketch",
                "poster",
                "doodle",
                "papercut",
                "pop_art",
                "warhol",
                "halftone",
            ),
            *(
                "illustration",
                "coloring_book",
                "sticker",
                "logo",
                "art_deco",
                "art_nouveau",
                "digital_art",
                "caricature",
                "game_",
                "woodcut",
            ),
            *("zentangle", "typography", "graffiti", "bauhaus", "shepard_fairey", "chromolith", "manuscript", "marker", "pixel"),
        ),
    ),
    (
        "other",
        (
            "mosaic",
            "stained_glass",
            "embroidery",
            "stitching",
            "porcelain",
            "texture",
            "pebble",
            "shibori",
            "suminagashi",
            "carving",
            "op_art",
        ),
    ),
    ("illustration", ("mre_", "artstyle_", "futuristic_", "dark_fantasy", "steampunk", "glitchcore", "vaporwave", "neo_", "futurism")),
    ("other", ("mk_", "papercraft")),
)
"""Words in the style names of `styles_sdxl_128px` -> label; names with none of them look like either and get none."""


def style_of(name: str) -> int | None:
    """The label (index into `STYLES`) of a picture, or None where it is not known."""
    base = name.split("#")[0]
    if base.startswith(("train/", "val/", "test/", "photos/", "aigc/matched/real", "quality/")):
        return STYLES.index("photo")
    if base.startswith("drawn/"):
        return STYLES.index("screenshot" if "screenshot" in base else "chart")
    if "styles_sdxl_128px" not in base:
        return None
    stem = Path(base).stem
    return next((STYLES.index(label) for label, found in _KEYWORDS if any(word in stem for word in found)), None)


_COMMON = {"style", "artstyle", "print", "painting", "drawing", "photo", "photography", "photographic", "futuristic", "papercraft"}


def held_out(name: str) -> bool:
    """Whether a picture is for testing alone: Flickr8k's test split, a fixed third of all others by name, never its training split."""
    base = name.split("#")[0]
    if base.startswith(("train/", "val/")):
        return False
    if "styles" in base:  # the same style has several names: artstyle_cubist, cubism
        longest = max((word for word in Path(base).stem.split("_") if word not in _COMMON), key=len, default="")
        return zlib.crc32(longest[:5].encode()) % 3 == 0
    return base.startswith("test/") or zlib.crc32(base.encode()) % 3 == 0
