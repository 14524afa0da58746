"""Keys and values of spans: where in a context a fact begins, the key that finds it, and the tokens that follow.

    S seeds   B episodes   N contexts   L tokens   d width   P tokens ahead

    y_t = LayerNorm(x_t)                             hidden states [S, B, N, L, d]
    k_t = normalise(W_k [y_{t−1}, y_t])              a key is computed from two tokens; queries likewise
    v_t[j] = W_v y_{t+1+j}, j = 0 … P−1              the values are the P tokens that follow
    p_t ∝ exp(w_p [y_{t−1}, y_t])                    probability that the fact begins at t; P tokens have to follow
    g = sigmoid(Σ_t p_t·w_g [y_{t−1}, y_t])          gate: whether the context is written at all

Each context becomes one entry: that of its most probable position, or in training the mean over p.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models.layers import Generators, LayerNorm, Linear


class Entries(NamedTuple):
    """One entry per context.

    Attributes:
        keys: [S, B, N, k].
        values: [S, B, N, P, d].
        gates: [S, B, N], 0 to 1.
        position_probabilities: p of each token, [S, B, N, L].
    """

    keys: Tensor
    values: Tensor
    gates: Tensor
    position_probabilities: Tensor


class Candidates(NamedTuple):
    """One candidate entry per token.

    Attributes:
        keys: [S, B, N, L, k].
        values: W_v y of each token, [S, B, N, L, d]; the values of the entry at t are those of tokens t + 1 … t + P.
        log_positions: log p, [S, B, N, L].
        gates: [S, B, N], 0 to 1.
    """

    keys: Tensor
    values: Tensor
    log_positions: Tensor
    gates: Tensor


class Spans(nn.Module):
    """The maps from hidden states to entries and queries; see the equations above."""

    def __init__(self, generators: Generators, width: int, *, key: int, ahead: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.norm = LayerNorm(generators, width)
        self.key = Linear(generators, 2 * width, key)
        self.point = Linear(generators, 2 * width, 2)
        self.value = identity_linear(generators, width)

    def candidates(self, x: Tensor) -> Candidates:
        """Return one candidate entry per token, from hidden states x [S, B, N, L, d]."""
        y = self.norm(x)
        keys, log_positions, gates = self._project(y)
        return Candidates(keys, self.value(y), log_positions, gates)

    def entries(self, x: Tensor) -> Entries:
        """Return one entry per context, from hidden states x [S, B, N, L, d]."""
        y = self.norm(x)
        keys, log_positions, gates = self._project(y)
        probabilities = log_positions.exp()
        selected = probabilities
        if not self.training:
            selected = F.one_hot(probabilities.argmax(-1), probabilities.shape[-1]).to(probabilities.dtype)
        # The probabilities of a context sum to 1, so W_v of the mean equals the mean of W_v.
        following = torch.stack([F.pad(selected[..., : -1 - j], (1 + j, 0)) for j in range(self.ahead)], -2)
        return Entries((selected.unsqueeze(-2) @ keys).squeeze(-2), self.value(following @ y), gates, probabilities)

    def _project(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return keys [S, B, N, L, k], log p [S, B, N, L] and gates [S, B, N] from y [S, B, N, L, d].

        Raises:
            MemkitError: a context has no position that P tokens follow.
        """
        pairs = torch.cat([shift_right(y, 1), y], -1)
        position, gate_logits = self.point(pairs).unbind(-1)
        length = position.shape[-1]
        if length <= self.ahead:
            raise MemkitError(f"a context of {length} tokens must be longer than ahead={self.ahead} tokens")
        position = position.masked_fill(torch.arange(length, device=y.device) >= length - self.ahead, -torch.inf)
        log_positions = torch.log_softmax(position, -1)
        gates = torch.sigmoid((log_positions.exp() * gate_logits).sum(-1))
        return F.normalize(self.key(pairs), dim=-1), log_positions, gates

    def queries(self, x: Tensor) -> Tensor:
        """Return the query of each token and its predecessor: x [S, B, Q, L, d] → [S, B, Q, L, k]."""
        y = self.norm(x)
        return F.normalize(self.key(torch.cat([shift_right(y, 1), y], -1)), dim=-1)


def shift_right(x: Tensor, by: int) -> Tensor:
    """Shift x [..., L, n] by some tokens to the right; the first tokens are filled with zeros."""
    by = min(by, x.shape[-2])
    return x if not by else F.pad(x[..., :-by, :], (0, 0, by, 0))


def identity_linear(generators: Generators, width: int, gain: float = 1.0) -> Linear:
    """Return a linear layer that starts as ``gain`` times the identity.

    With it, a value that is read points to the embedding of its token from the start of training.
    """
    linear = Linear(generators, width, width)
    with torch.no_grad():
        linear.weight.copy_(gain * torch.eye(width).expand_as(linear.weight))
        linear.bias.zero_()
    return linear
