"""Operators: what can be measured about a sample. One algorithm a file; `ALL` and `OPTIONAL` list those that come with Goldsieve."""

from operators.aesthetic import Aesthetic
from operators.base import Operator
from operators.caption_quality import CaptionQuality
from operators.clip_score import ClipScore
from operators.concept import Concept
from operators.exact_duplicates import ExactDuplicates
from operators.faces import Faces
from operators.image_embedding import ImageEmbedding
from operators.image_quality import ImageQuality
from operators.media_facts import MediaFacts
from operators.near_duplicates import NearDuplicates
from operators.nsfw import Nsfw
from operators.phash import PHash
from operators.portrait_quality import PortraitQuality
from operators.style import Style
from operators.text_area import TextArea
from operators.text_embedding import TextEmbedding
from operators.zero_shot import ZeroShot

ALL: tuple[Operator, ...] = (MediaFacts(), PHash(), ImageQuality(), CaptionQuality(), ExactDuplicates(), NearDuplicates())
"""One of each operator, with default settings, in the order in which they are listed and documented."""

OPTIONAL: tuple[Operator, ...] = (
    *(ImageEmbedding(), TextEmbedding(), ClipScore(), Aesthetic(), Style(), Concept(), ZeroShot()),
    *(Nsfw(), TextArea(), Faces(), PortraitQuality()),
)
"""Operators that run a model: listed, documented and made by name like the others, but not in the default set, which would be
several times slower with them."""
