"""The control with attention over the whole command: it does not have to store anything.

    x = E[token] + position                       tokens [S, B, L] → [S, B, L, d]
    x ← x + Attention(LayerNorm(x))               no causal mask; padding is masked
    x ← x + W₂ GELU(W₁ LayerNorm(x))              hidden width `expansion`·d; both `layers` times
    logits_p = W_p LayerNorm(x_L) + b_p           read at the last token → [S, B, P, answers]

State size: the command itself, 2·layers·L·width numbers per sequence.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.layers import Attention, Embedding, Generators, LayerNorm, Linear, normal, split_positions


class Block(nn.Module):
    """A pre-norm Transformer block."""

    def __init__(self, generators: Generators, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.before_attention = LayerNorm(generators, width)
        self.attention = Attention(generators, width, heads)
        self.before_feedforward = LayerNorm(generators, width)
        self.widen = Linear(generators, width, expansion * width)
        self.narrow = Linear(generators, expansion * width, width)

    def forward(self, x: Tensor, visible: Tensor, *, last: bool) -> Tensor:
        """Return the output of the block, x [S, B, L, d] → [S, B, L, d], or of the last token only, [S, B, 1, d]."""
        update: Tensor = self.attention(self.before_attention(x), visible, last=last)
        x = (x[:, :, -1:] if last else x) + update
        update = self.narrow(F.gelu(self.widen(self.before_feedforward(x))))
        return x + update


class TransformerNetwork(nn.Module):
    """A Transformer encoder with learnt positions that answers from the last token.

    >>> import torch
    >>> from memkit.models import TransformerNetwork
    >>> task = {"tokens": 12, "answers": 5, "positions": 2, "length": 6}
    >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    >>> network = TransformerNetwork(generators=generators, **task, width=16)
    >>> network(torch.randint(1, 12, (2, 8, 6))).shape  # 2 seeds, 8 commands of 6 tokens, 2 answers each
    torch.Size([2, 8, 2, 5])
    """

    seed_axis = True

    def __init__(
        self,
        *,
        generators: Generators,
        tokens: int,
        answers: int,
        positions: int,
        length: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.positions = positions
        self.state_size = 2 * layers * length * width
        self.embedding = Embedding(generators, tokens, width)
        self.position = normal(generators, 1, length, width, scale=1.0)
        self.blocks = nn.ModuleList(Block(generators, width, heads, expansion) for _ in range(layers))
        self.last = LayerNorm(generators, width)
        self.decoder = Linear(generators, width, positions * answers)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L], where 0 is padding."""
        visible = tokens != 0
        x = self.embedding(tokens) + self.position
        for number, block in enumerate(self.blocks, start=1):
            # Only the last token is needed for the answers, so the last block computes no other.
            x = block(x, visible, last=number == len(self.blocks))
        return split_positions(self.decoder(self.last(x[:, :, -1])), self.positions)
