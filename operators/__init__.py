"""Operators: what can be measured about a sample. One algorithm a file; `ALL` lists those that come with Goldsieve."""

from operators.base import Operator
from operators.caption_quality import CaptionQuality
from operators.exact_duplicates import ExactDuplicates
from operators.image_quality import ImageQuality
from operators.media_facts import MediaFacts
from operators.near_duplicates import NearDuplicates
from operators.phash import PHash

ALL: tuple[Operator, ...] = (MediaFacts(), PHash(), ImageQuality(), CaptionQuality(), ExactDuplicates(), NearDuplicates())
"""One of each operator, with default settings, in the order in which they are listed and documented."""
