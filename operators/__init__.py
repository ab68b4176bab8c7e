"""Operators: what can be measured about a sample. One algorithm a file; `ALL` lists those that come with Goldsieve."""

from operators.base import Operator
from operators.caption_quality import CaptionQuality
from operators.exact_duplicates import ExactDuplicates

ALL: tuple[Operator, ...] = (CaptionQuality(), ExactDuplicates())
"""One of each operator, with default settings, in the order in which they are listed and documented."""
