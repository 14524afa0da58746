"""The cross-attention binder: each answer looks for its binding among those the command states, and copies its value.

    x = E[token] + position                          tokens [S, B, L] → [S, B, L, d]
    x ← Block(x)                                     `layers` times, as in memkit/models/transformer.py
    q_p = Q_p x_L + b_p                              what answer p looks for                  → [S, B, P, d]
    n_t = Σ_o softmax_o(u·e_{t−o} + c_o) K e_{t−o}   a name: one of the last three tokens     → [S, B, L, d]
    k_t = n_t + π_t                                  the key: the name, and when it was stated
    v_t = V e_t                                      the value that may be bound to it, from one token alone
    a_p = softmax(q_p·k / √d)                        over the command's tokens and one entry of no word, k_0 and v_0
    logits_p = W Σ_t a_p[t] v_t + b                  the last two by head, each with its share of d
                                                                                              → [S, B, P, answers]

Nothing is told by rule, and nothing goes past the attention: an answer is made of the values of single words, or
of the entry of no word, which may say END. State size: the command itself, 2·(layers + 1)·L·width numbers a sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.addressing import WINDOW, window
from memkit.models.layers import Embedding, Generators, Linear, by_position, constant, look_up, normal, one_hot
from memkit.models.transformer import Block


class CrossAttentionNetwork(nn.Module):
    """Answers attend over bindings: keys from names, values from single words; equations above."""

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
        layers: int = 1,
        heads: int = 4,
        expansion: int = 2,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.positions, self.heads = positions, heads
        self.state_size = 2 * (layers + 1) * length * width
        self.embedding = Embedding(generators, tokens, width)
        self.position = normal(generators, 1, length, width, scale=1.0)
        self.blocks = nn.ModuleList(Block(generators, width, heads, expansion) for _ in range(layers))
        self.query = Linear(generators, width, positions * width)
        # The key and the score u share one map: a map with a single output would round differently for a single seed.
        self.key = Linear(generators, width, width + 1)
        self.offset = constant(generators, 1, 1, WINDOW, 1)
        self.key_position = normal(generators, 1, length, width, scale=1.0)
        self.value = Linear(generators, width, width)
        self.no_key = normal(generators, 1, 1, width, scale=1.0)
        self.no_value = normal(generators, 1, width, scale=1.0)
        self.decoder = Linear(generators, width, answers)

    def attention(self, tokens: Tensor) -> Tensor:
        """Return the attention of each answer: tokens [S, B, L] → [S, B, H, P, 1 + L], first the weight of no word."""
        words, visible = self.embedding.weight, tokens != 0
        marks = one_hot(tokens, words)
        x = look_up(marks, words) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        query = by_position(self.query(x[:, :, -1]), self.positions)
        # Keys and scores are computed once per word, and looked up. [S, B, L, 3 offsets, d + 1]
        names, scores = look_up(window(marks), self.key(words)).split_with_sizes([words.shape[-1], 1], -1)
        keys = (torch.softmax(scores + self.offset, 3) * names).sum(3) + self.key_position
        keys = torch.cat([self.no_key.expand(*keys.shape[:2], 1, -1), keys], 2)
        # [S, B, H, P or 1 + L, d/H]
        query, keys = (x.reshape(*x.shape[:3], self.heads, -1).transpose(2, 3) for x in (query, keys))
        alike = query @ keys.transpose(3, 4) * query.shape[-1] ** -0.5
        hidden = torch.cat([torch.zeros_like(visible[..., :1]), ~visible], -1)
        return torch.softmax(alike.masked_fill(hidden[:, :, None, None], -torch.inf), -1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [S, B, L], 0 being padding, → logits [S, B, P, answers]."""
        weights, values = self.attention(tokens), self.value(self.embedding.weight)
        marks = F.pad(one_hot(tokens, values), (1, 0, 1, 0))
        marks[:, :, 0, 0] = 1.0  # no word is number 0 among the words, too
        looked = weights @ marks.unsqueeze(2)
        values = torch.cat([self.no_value, values], 1)
        values = values.view(*values.shape[:2], self.heads, -1)
        found = torch.einsum("sbhpw,swhd->sbphd", looked, values).flatten(3)
        logits: Tensor = self.decoder(found)
        return logits
