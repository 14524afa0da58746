"""A language model with a store of next tokens: the model is unchanged, and its predictions are mixed with the store's.

    log p_LM = log softmax(GPT(tokens))
    p = (1 − w)·p_LM + w·p_kNN                          memkit/memories/next_tokens.py

The store records every token that is read: the n tokens before it, the token itself, and its surprise under the model.
The store is passed in and returned, so that the same weights can be used with this store, with another one or without.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError, suggestion
from memkit.memories import next_tokens
from memkit.memories.next_tokens import EVICTIONS, Entries, Eviction
from memkit.models.gpt import GPT, States


class NextTokenMemory(nn.Module):
    """A GPT of one seed, and settings of how a store of next tokens is written and read.

    Attributes:
        model: the GPT.
        states: the states of the GPT's own memories; None if nothing was written to them.
        n: the number of tokens in a key.
        k, decay, tau, most: see :mod:`memkit.memories.next_tokens`.
        capacity: the maximum number of entries; None for no limit.
        eviction: which entries leave a full store.

    >>> import torch
    >>> from memkit.models import GPT, NextTokenMemory
    >>> model = GPT(generators=[torch.Generator().manual_seed(0)], tokens=20, block=16, width=32)
    >>> memory = NextTokenMemory(model, n=4)
    >>> text = torch.arange(12).unsqueeze(0)
    >>> store = memory.remember(text)
    >>> log_probabilities = memory(store, text[:, :6], last=1)  # after tokens 0 to 5
    >>> log_probabilities.shape, int(log_probabilities.argmax())
    (torch.Size([1, 1, 20]), 6)
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
            raise MemkitError(f"NextTokenMemory: the model must have one seed, and has {len(model.last.weight)}")
        if n < 1 or k < 1 or not 0 < decay <= 1 or tau <= 0 or not 0 <= most < 1:
            raise MemkitError(
                f"NextTokenMemory: n={n} and k={k} must be at least 1, decay={decay} greater than 0 and at most 1, "
                f"tau={tau} greater than 0, and most={most} at least 0 and less than 1"
            )
        if capacity is not None and capacity < 1:
            raise MemkitError(f"NextTokenMemory: capacity={capacity} must be at least 1, or None")
        if eviction not in EVICTIONS:
            raise MemkitError(
                f"NextTokenMemory: eviction={eviction!r} is unknown{suggestion(str(eviction), EVICTIONS)}"
            )
        self.model, self.states = model, states
        self.tokens = model.embedding.weight.shape[1]
        self.n, self.k, self.decay, self.tau, self.most = n, k, decay, tau, most
        self.capacity, self.eviction = capacity, eviction

    def empty(self) -> Entries:
        """Return an empty store."""
        return next_tokens.empty(self.n)

    @torch.inference_mode()
    def remember(self, text: Tensor, store: Entries | None = None) -> Entries:
        """Return the store after reading contexts [N, L], one after another.

        Every token except the first of each context becomes an entry.

        Args:
            store: the store to extend; None for an empty one. It is not changed in place.
        """
        store = self.empty() if store is None else store
        if not len(text) or text.shape[1] < 2:
            return store
        log_probabilities = (
            self.without_store(text[:, :-1], text.shape[1] - 1).gather(-1, text[:, 1:, None]).squeeze(-1)
        )
        keys = next_tokens.context_keys(text[:, :-1], self.n)
        new = Entries(keys.flatten(0, 1), text[:, 1:].flatten(), -log_probabilities.flatten())
        return next_tokens.append(store, new, capacity=self.capacity, eviction=self.eviction)

    @torch.inference_mode()
    def forward(self, store: Entries, text: Tensor, last: int) -> Tensor:
        """Return log p [B, last, V] after each of the last tokens of contexts [B, L]; the store is not written."""
        model_log_probabilities = self.without_store(text, last)
        keys = next_tokens.context_keys(text, self.n)[:, -last:].flatten(0, 1)
        queries, inverse = torch.unique(keys, dim=0, return_inverse=True)
        matches = next_tokens.read(
            store, queries, tokens=self.tokens, k=self.k, decay=self.decay, tau=self.tau, most=self.most
        )
        mixed = next_tokens.mix(
            model_log_probabilities.flatten(0, 1), next_tokens.StoreReading(*(part[inverse] for part in matches))
        )
        return mixed.view(model_log_probabilities.shape)

    def without_store(self, text: Tensor, last: int) -> Tensor:
        """Return log p [B, last, V] of the model without the store."""
        return next_token_log_probabilities(self.model, self.states, text, last)


@torch.inference_mode()
def next_token_log_probabilities(model: GPT, states: States | None, text: Tensor, last: int) -> Tensor:
    """Return log p [B, last, V] of a GPT of one seed after each of the last tokens of contexts [B, L].

    The contexts are read independently. Of a context that is longer than the model's block, only the end is read.

    Args:
        states: the memory states for one episode; None if nothing was written; ``{}`` to read no memory.

    Raises:
        MemkitError: ``last`` is less than 1, or more than the number of tokens that the model reads.
    """
    most = min(model.block, text.shape[1])
    if not 1 <= last <= most:
        raise MemkitError(
            f"last={last} must be from 1 to {most}: the contexts have {text.shape[1]} tokens, and the model's block "
            f"has {model.block}"
        )
    contexts = text[None, None, :, -model.block :]
    states = model.empty(contexts) if states is None else states
    return torch.log_softmax(model.complete(states, contexts)[0, 0, :, -last:], -1)
