"""Operators: what can be measured about a sample. One algorithm a file; `ALL` and `OPTIONAL` list those that come with Goldsieve."""

from operators.aesthetic import Aesthetic
from operators.aigc_score import AigcScore
from operators.banding import Banding
from operators.base import Operator
from operators.caption_agreement import CaptionAgreement
from operators.caption_duplicates import CaptionDuplicates
from operators.caption_quality import CaptionQuality
from operators.clean import Clean
from operators.clip_score import ClipScore
from operators.concept import Concept
from operators.copy_signature import CopySignature
from operators.exact_duplicates import ExactDuplicates
from operators.faces import Faces
from operators.image_embedding import ImageEmbedding
from operators.image_quality import ImageQuality
from operators.media_facts import MediaFacts
from operators.merged_captions import MergedCaptions
from operators.missing_grain import MissingGrain
from operators.moire import Moire
from operators.near_duplicates import NearDuplicates
from operators.nsfw import Nsfw
from operators.over_smooth import OverSmooth
from operators.oversharpen_halo import OversharpenHalo
from operators.phash import PHash
from operators.pixel_duplicates import PixelDuplicates
from operators.pixel_hash import PixelHash
from operators.portrait_quality import PortraitQuality
from operators.protected_copies import ProtectedCopies
from operators.provenance import Provenance
from operators.semantic_duplicates import SemanticDuplicates
from operators.style import Style
from operators.text_area import TextArea
from operators.text_embedding import TextEmbedding
from operators.texture_loss import TextureLoss
from operators.turned_hashes import TurnedHashes
from operators.upsampling_grid import UpsamplingGrid
from operators.video.audio import AudioFacts, Speech
from operators.video.camera_movement import CameraMovement
from operators.video.clip_duplicates import ClipDuplicates
from operators.video.clip_hashes import ClipHashes
from operators.video.clips import Clips
from operators.video.frame_embeddings import FrameEmbeddings
from operators.video.frame_heads import VideoAesthetic, VideoAigc, VideoClipScore, VideoStyle
from operators.video.light import Light
from operators.video.motion import Motion
from operators.video.shot_size import ShotSize
from operators.video.shots import Shots
from operators.video.video_faces import VideoFaces
from operators.video.video_facts import VideoFacts
from operators.video.video_provenance import VideoProvenance
from operators.video.video_quality import VideoQuality
from operators.video.video_text import VideoText
from operators.zero_shot import ZeroShot

ALL: tuple[Operator, ...] = (MediaFacts(), Provenance(), PHash(), ImageQuality(), CaptionQuality(), ExactDuplicates(), NearDuplicates())
"""One of each operator, with default settings, in the order in which they are listed and documented."""

VIDEO: tuple[Operator, ...] = (
    *(VideoFacts(), VideoProvenance(), Shots(), Clips(), Motion(), CameraMovement(), Light(), VideoQuality(), AudioFacts()),
    *(ClipHashes(), ClipDuplicates()),
)
"""Those that look at videos and run by default in a lake that has some."""

OPTIONAL: tuple[Operator, ...] = (
    *(PixelHash(), PixelDuplicates(), CopySignature(), TurnedHashes(), SemanticDuplicates()),
    *(Clean(), CaptionDuplicates(), MergedCaptions(), ProtectedCopies()),
    *(ImageEmbedding(), TextEmbedding(), ClipScore(), CaptionAgreement(), Aesthetic(), Style(), Concept(), ZeroShot()),
    *(OverSmooth(), MissingGrain(), TextureLoss(), Moire(), UpsamplingGrid(), Banding(), OversharpenHalo()),
    AigcScore(),
    *(Nsfw(), TextArea(), Faces(), PortraitQuality()),
    *VIDEO,
    *(Speech(), FrameEmbeddings(), VideoAesthetic(), VideoClipScore(), VideoStyle(), VideoFaces(), ShotSize(), VideoText(), VideoAigc()),
)
"""Operators that run a model, decode pictures at native size or compare all samples in another way: listed, documented and made by name
like the others, but not in the default set, which would be several times slower with them."""
