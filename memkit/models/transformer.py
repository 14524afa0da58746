"""The control with attention over the whole command: nothing has to be stored, everything stays in sight.

    x = E[token] + position                       tokens [S, B, L] → [S, B, L, d]
    x ← x + Attention(LayerNorm(x))               every token sees every token but padding
    x ← x + W₂ GELU(W₁ LayerNorm(x))              hidden width `expansion`·d; both `layers` times
    logits_p = W_p LayerNorm(x_L) + b_p           read at the last token → [S, B, P, answers]

State size: the command itself, 2·layers·L·width numbers a sequence.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.layers import Attention, Embedding, Generators, LayerNorm, Linear, by_position, normal


class Block(nn.Module):
    """One pre-norm layer."""

    def __init__(self, generators: Generators, width: int, heads: int, expansion: int) -> None:
        super().__init__()
        self.before_attention = LayerNorm(generators, width)
        self.attention = Attention(generators, width, heads)
        self.before_feedforward = LayerNorm(generators, width)
        self.widen = Linear(generators, width, expansion * width)
        self.narrow = Linear(generators, expansion * width, width)

    def forward(self, x: Tensor, visible: Tensor, *, last: bool) -> Tensor:
        """x [S, B, L, d] → [S, B, L, d]; with ``last``, of the last token alone, [S, B, 1, d]."""
        change: Tensor = self.attention(self.before_attention(x), visible, last=last)
        x = (x[:, :, -1:] if last else x) + change
        change = self.narrow(F.gelu(self.widen(self.before_feedforward(x))))
        return x + change


class TransformerNetwork(nn.Module):
    """A Transformer encoder with learnt positions that answers from the last token."""

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
        """Tokens [S, B, L], 0 being padding, → logits [S, B, P, answers]."""
        visible = tokens != 0
        x = self.embedding(tokens) + self.position
        for number, block in enumerate(self.blocks, start=1):
            # Only the last token answers, so no other passes through the last block.
            x = block(x, visible, last=number == len(self.blocks))
        return by_position(self.decoder(self.last(x[:, :, -1])), self.positions)
