"""Keys and values of spans: where in a context a fact begins, the key that finds it, and what follows.

    S seeds   B episodes   N contexts   L tokens   d width   P tokens ahead

    y_t = LayerNorm(x_t)                             hidden states [S, B, N, L, d]
    k_t = normalise(W_k [y_{t−1}, y_t])              a key is made of two tokens, a query in the same way
    v_t[j] = W_v y_{t+1+j}, j = 0 … P−1              what comes after them
    p_t ∝ exp(w_p [y_{t−1}, y_t])                    over those tokens of a context that P tokens follow
    g = sigmoid(Σ_t p_t·w_g [y_{t−1}, y_t])          whether the context is worth writing at all

A context becomes one entry, that of its most probable token (in training, the mean over p).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models.layers import Generators, LayerNorm, Linear


class Entries(NamedTuple):
    """One entry a context.

    Attributes:
        keys: [S, B, N, k].
        values: [S, B, N, P, d].
        gates: [S, B, N], 0 to 1.
        places: the probability of each token, [S, B, N, L].
    """

    keys: Tensor
    values: Tensor
    gates: Tensor
    places: Tensor


class Candidates(NamedTuple):
    """An entry a token: keys [S, B, N, L, k], W_v y [S, B, N, L, d], log p [S, B, N, L], gates [S, B, N].

    The values of a token are those of W_v y that come 1 … P tokens later.
    """

    keys: Tensor
    values: Tensor
    log_places: Tensor
    gates: Tensor


class Spans(nn.Module):
    """Makes entries of contexts, and queries; equations above."""

    def __init__(self, generators: Generators, width: int, *, key: int, ahead: int) -> None:
        super().__init__()
        self.ahead = ahead
        self.norm = LayerNorm(generators, width)
        self.key = Linear(generators, 2 * width, key)
        self.point = Linear(generators, 2 * width, 2)
        self.value = identity(generators, width)

    def candidates(self, x: Tensor) -> Candidates:
        """Every token's entry: hidden states [S, B, N, L, d]."""
        y = self.norm(x)
        keys, log_places, gates = self.found(y)
        return Candidates(keys, self.value(y), log_places, gates)

    def entries(self, x: Tensor) -> Entries:
        """One entry a context: hidden states [S, B, N, L, d]."""
        y = self.norm(x)
        keys, log_places, gates = self.found(y)
        places = log_places.exp()
        chosen = places if self.training else F.one_hot(places.argmax(-1), places.shape[-1]).to(places.dtype)
        # W_v of the mean is the mean of W_v, since the shares of a context's tokens sum to 1.
        ahead = torch.stack([F.pad(chosen[..., : -1 - j], (1 + j, 0)) for j in range(self.ahead)], -2)
        return Entries((chosen.unsqueeze(-2) @ keys).squeeze(-2), self.value(ahead @ y), gates, places)

    def found(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keys [S, B, N, L, k], log p [S, B, N, L] and gates [S, B, N] of normalised hidden states [S, B, N, L, d]."""
        pairs = torch.cat([later(y, 1), y], -1)
        place, gate = self.point(pairs).unbind(-1)
        length = place.shape[-1]
        if length <= self.ahead:
            raise MemkitError(f"a context of {length} tokens has no place for an entry of {self.ahead} tokens ahead")
        place = place.masked_fill(torch.arange(length, device=y.device) >= length - self.ahead, -torch.inf)
        log_places = torch.log_softmax(place, -1)
        gates = torch.sigmoid((log_places.exp() * gate).sum(-1))
        return F.normalize(self.key(pairs), dim=-1), log_places, gates

    def queries(self, x: Tensor) -> Tensor:
        """The query of every token and the one before it: [S, B, Q, L, d] → [S, B, Q, L, k]."""
        y = self.norm(x)
        return F.normalize(self.key(torch.cat([later(y, 1), y], -1)), dim=-1)


def later(x: Tensor, by: int) -> Tensor:
    """[..., L, n], each token in the place of the one ``by`` later; zeros come first."""
    by = min(by, x.shape[-2])
    return x if not by else F.pad(x[..., :-by, :], (0, 0, by, 0))


def identity(generators: Generators, width: int, gain: float = 1.0) -> Linear:
    """A linear map that begins as ``gain`` times the identity: what is read points at its token from the start."""
    made = Linear(generators, width, width)
    with torch.no_grad():
        made.weight.copy_(gain * torch.eye(width).expand_as(made.weight))
        made.bias.zero_()
    return made
