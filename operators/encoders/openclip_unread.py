"""What open_clip computes and nobody reads, left out. Results stay the same to rounding.

* Where the class token is pooled, the last block of a vision transformer is read at that token alone: a twelfth of the work is in it.
* Under a causal mask no token sees what stands behind it, so what follows the end of a caption need not be computed.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from open_clip.model import CLIP
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

CONTEXTS = (24, 40)
"""Lengths, in tokens, to which the context of a caption is cut; longer captions get all of it. A caption's own length decides, so that
its embedding does not depend on its neighbours."""


class ClassToken(torch.nn.Module):
    """A `ResidualAttentionBlock` of which only the first token comes out: (n, tokens, width) in, (n, 1, width) out."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
        block, seen = self.block, self.block.ln_1(x)
        first = x[:, :1] + block.ls_1(block.attention(q_x=seen[:, :1], k_x=seen, v_x=seen, attn_mask=attn_mask))
        read: torch.Tensor = first + block.ls_2(block.mlp(block.ln_2(first)))
        return read


def read_class_token(model: Any) -> None:
    """Change the vision tower in place, if it is one that pools its class token."""
    tower = model.visual
    if type(tower) is not VisionTransformer or tower.attn_pool is not None or tower.pool_type != "tok" or tower.output_tokens:
        return
    blocks = tower.transformer.resblocks
    if tower.transformer.batch_first and len(blocks) > 1 and type(blocks[-1]) is ResidualAttentionBlock:
        blocks[-1] = ClassToken(blocks[-1])


def by_context(model: Any) -> dict[int, Any]:
    """Context length -> the model with a context of so many tokens, shortest first; all share their weights."""
    if type(model) is not CLIP or model.attn_mask is None or model.text_pool_type != "argmax":
        return {}
    views = {}
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    for length in CONTEXTS:
        if length < model.context_length:
            views[length] = view = copy.deepcopy(model, dict(shared))
            view.positional_embedding = torch.nn.Parameter(model.positional_embedding[:length], requires_grad=False)
            view.attn_mask = model.attn_mask[:length, :length]
    return views


def context_of(tokens: torch.Tensor, contexts: Sequence[int]) -> int:
    """The shortest of ``contexts`` that holds a caption's tokens, else their number. The end of a text is its largest token."""
    end = int(tokens.argmax()) + 1
    return next((length for length in contexts if end <= length), len(tokens))
