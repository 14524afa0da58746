"""A language model with a store of next tokens beside it: nothing in the model changes, its predictions are mixed.

    log p_LM = log softmax(GPT(tokens))                 the network, which reads no memory of its own
    p = (1 − w)·p_LM + w·p_kNN                          memkit/memories/next_tokens.py

What is read is written token by token: the n tokens before it, the token, and how much the network was surprised by
it. The store is handed in and out, so that the same weights can be asked with this store, another one, or none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError, nearest
from memkit.memories import next_tokens
from memkit.memories.next_tokens import EVICTIONS, Entries, Eviction
from memkit.models.gpt import GPT, States


class NextTokenMemory(nn.Module):
    """A GPT of one seed, and how a store of next tokens is written and read.

    Attributes:
        model: the network.
        states: what its own memories hold meanwhile; None: nothing was written in them.
        n: tokens of a key.
        k, decay, tau, most: see :mod:`memkit.memories.next_tokens`.
        capacity, eviction: most entries, None for any number, and which of them leave.
    """

    def __init__(
        self,
        model: GPT,
        *,
        states: States | None = None,
        n: int = 20,
        k: int = 8,
        decay: float = 0.8,
        tau: float = 0.1,
        most: float = 0.98,
        capacity: int | None = None,
        eviction: Eviction = "fifo",
    ) -> None:
        super().__init__()
        if len(model.last.weight) != 1:
            raise MemkitError(f"NextTokenMemory: the model has {len(model.last.weight)} seeds, and must have one")
        if n < 1 or k < 1 or not 0 < decay <= 1 or tau <= 0 or not 0 <= most < 1:
            raise MemkitError(
                f"NextTokenMemory: n={n} and k={k} must be at least 1, 0 < decay={decay} ≤ 1, tau={tau} more than 0, "
                f"0 ≤ most={most} < 1"
            )
        if capacity is not None and capacity < 1:
            raise MemkitError(f"NextTokenMemory: capacity={capacity} must be at least 1, or None")
        if eviction not in EVICTIONS:
            raise MemkitError(f"NextTokenMemory: eviction={eviction!r} is unknown{nearest(str(eviction), EVICTIONS)}")
        self.model, self.states = model, states
        self.tokens = model.embedding.weight.shape[1]
        self.n, self.k, self.decay, self.tau, self.most = n, k, decay, tau, most
        self.capacity, self.eviction = capacity, eviction

    def empty(self) -> Entries:
        """Return an empty store."""
        return next_tokens.empty(self.n)

    @torch.inference_mode()
    def remember(self, text: Tensor, store: Entries | None = None) -> Entries:
        """Return the store after contexts [N, L], one after another: all tokens but the first of each are written."""
        store = self.empty() if store is None else store
        if not len(text) or text.shape[1] < 2:
            return store
        said = self.alone(text[:, :-1], text.shape[1] - 1).gather(-1, text[:, 1:, None]).squeeze(-1)
        keys = next_tokens.keys(text[:, :-1], self.n)
        new = Entries(keys.flatten(0, 1), text[:, 1:].flatten(), -said.flatten())
        return next_tokens.append(store, new, capacity=self.capacity, eviction=self.eviction)

    @torch.inference_mode()
    def forward(self, store: Entries, text: Tensor, last: int) -> Tensor:
        """Return log p [B, last, V] after each of the last tokens of contexts [B, L]; nothing is written."""
        alone = self.alone(text, last)
        keys = next_tokens.keys(text, self.n)[:, -last:].flatten(0, 1)
        queries, back = torch.unique(keys, dim=0, return_inverse=True)
        found = next_tokens.read(
            store, queries, tokens=self.tokens, k=self.k, decay=self.decay, tau=self.tau, most=self.most
        )
        mixed = next_tokens.mix(alone.flatten(0, 1), next_tokens.Found(*(part[back] for part in found)))
        return mixed.view(alone.shape)

    def alone(self, text: Tensor, last: int) -> Tensor:
        """Return log p [B, last, V] of the network by itself, without the store."""
        return said(self.model, self.states, text, last)


@torch.inference_mode()
def said(model: GPT, states: States | None, text: Tensor, last: int) -> Tensor:
    """Return log p [B, last, V] of a GPT of one seed after the last tokens of contexts [B, L], each read independently.

    Args:
        states: the states of its memories, for one episode; None: nothing was written; ``{}``: they are not read.

    If a context is longer than the model's block, the model reads its end.

    Raises:
        MemkitError: ``last`` is less than 1, or more than the number of tokens that the model reads.
    """
    most = min(model.block, text.shape[1])
    if not 1 <= last <= most:
        raise MemkitError(
            f"of contexts of {text.shape[1]} tokens a model with a block of {model.block} says what comes after each "
            f"of the last 1 to {most}, not {last}"
        )
    contexts = text[None, None, :, -model.block :]
    states = model.empty(contexts) if states is None else states
    return torch.log_softmax(model.complete(states, contexts)[0, 0, :, -last:], -1)
