"""The cross-attention binder: each answer attends to the bindings that the command states, and copies a value.

    x = E[token] + position                          tokens [S, B, L] → [S, B, L, d]
    x ← Block(x)                                     `layers` times, as in memkit/models/transformer.py
    q_p = Q_p x_L + b_p                              the query of answer p                    → [S, B, P, d]
    n_t = Σ_o softmax_o(u·e_{t−o} + c_o) K e_{t−o}   a name: one of the last three tokens     → [S, B, L, d]
    k_t = n_t + π_t                                  the key: a name and its position
    v_t = V e_t                                      the value: from one token only
    a_p = softmax(q_p·k / √d)                        over the tokens and one learnt "no word" entry, k_0 and v_0
    logits_p = W Σ_t a_p[t] v_t + b                  the last two per head, each of width d / heads
                                                                                              → [S, B, P, answers]

No rule is given, and the answer depends on the command only through the attention: it is composed of values of single
words and of the "no word" entry, which may say END. State size: the command itself, 2·(layers + 1)·L·width numbers per
sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.models.addressing import WINDOW, window
from memkit.models.layers import (
    Embedding,
    Generators,
    Linear,
    constant,
    normal,
    one_hot,
    split_positions,
    weighted_rows,
)
from memkit.models.transformer import Block


class CrossAttentionNetwork(nn.Module):
    """A network whose answers attend to bindings; keys come from names, values from single words; equations above.

    >>> import torch
    >>> from memkit.models import CrossAttentionNetwork
    >>> task = {"tokens": 12, "answers": 5, "positions": 2, "length": 6}
    >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    >>> network = CrossAttentionNetwork(generators=generators, **task, width=16)
    >>> network(torch.randint(1, 12, (2, 8, 6))).shape  # 2 seeds, 8 commands of 6 tokens, 2 answers each
    torch.Size([2, 8, 2, 5])
    >>> network.attention(torch.randint(1, 12, (2, 8, 6))).shape  # 4 heads; "no word" comes first
    torch.Size([2, 8, 4, 2, 7])
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
        # The key and the score u share one map: a map with one output would round differently for a single seed.
        self.key = Linear(generators, width, width + 1)
        self.offset = constant(generators, 1, 1, WINDOW, 1)
        self.key_position = normal(generators, 1, length, width, scale=1.0)
        self.value = Linear(generators, width, width)
        self.no_key = normal(generators, 1, 1, width, scale=1.0)
        self.no_value = normal(generators, 1, width, scale=1.0)
        self.decoder = Linear(generators, width, answers)

    def attention(self, tokens: Tensor) -> Tensor:
        """Return the attention weights, tokens [S, B, L] → [S, B, H, P, 1 + L]; the first is that of "no word"."""
        words, visible = self.embedding.weight, tokens != 0
        one_hot_tokens = one_hot(tokens, words)
        x = weighted_rows(one_hot_tokens, words) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        queries = split_positions(self.query(x[:, :, -1]), self.positions)
        # Keys and scores are computed once per word, and looked up: [S, B, L, 3 offsets, d + 1].
        projected = weighted_rows(window(one_hot_tokens), self.key(words))
        names, offset_scores = projected.split_with_sizes([words.shape[-1], 1], -1)
        keys = (torch.softmax(offset_scores + self.offset, 3) * names).sum(3) + self.key_position
        keys = torch.cat([self.no_key.expand(*keys.shape[:2], 1, -1), keys], 2)
        # [S, B, H, P or 1 + L, d/H]
        queries, keys = (x.reshape(*x.shape[:3], self.heads, -1).transpose(2, 3) for x in (queries, keys))
        scores = queries @ keys.transpose(3, 4) * queries.shape[-1] ** -0.5
        masked = torch.cat([torch.zeros_like(visible[..., :1]), ~visible], -1)
        return torch.softmax(scores.masked_fill(masked[:, :, None, None], -torch.inf), -1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L], where 0 is padding."""
        weights, values = self.attention(tokens), self.value(self.embedding.weight)
        one_hot_tokens = F.pad(one_hot(tokens, values), (1, 0, 1, 0))
        one_hot_tokens[:, :, 0, 0] = 1.0  # entry 0 is "no word"
        word_weights = weights @ one_hot_tokens.unsqueeze(2)
        values = torch.cat([self.no_value, values], 1)
        values = values.view(*values.shape[:2], self.heads, -1)
        mixed = torch.einsum("sbhpw,swhd->sbphd", word_weights, values).flatten(3)
        logits: Tensor = self.decoder(mixed)
        return logits
