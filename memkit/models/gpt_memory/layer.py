"""The interface of a GPT's memory: a layer that writes contexts into a state, and reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError

State: TypeAlias = tuple[Tensor, ...]
"""What a memory holds: tensors [S, B, ...], each episode its own."""


class MemoryLayer(nn.Module, ABC):
    """Learnt maps around a memory, with a seed axis."""

    @property
    def state_size(self) -> int:
        """The size of the memory's state, in numbers per episode."""
        return sum(part[0, 0].numel() for part in self.empty(1, torch.device("cpu")))

    @abstractmethod
    def empty(self, episodes: int, device: torch.device) -> State:
        """The state before anything was written, of so many episodes."""

    @abstractmethod
    def written(self, state: State, x: Tensor) -> State:
        """The state after contexts with hidden states [S, B, N, L, d], one after another."""

    @abstractmethod
    def read(self, state: State, x: Tensor) -> Tensor:
        """Return what contexts with hidden states [S, B, Q, L, d] read, each independently: it is to be added to x."""

    def slots_of(self, state: State) -> int:
        """Return the number of slots of a state; in most memories, its first tensor is [S, B, K, ...]."""
        return state[0].shape[2]

    def permuted(self, state: State, order: Tensor) -> State:
        """The state with its values in another order [K], its keys as they were.

        Raises:
            MemkitError: the memory has no values apart from its keys.
        """
        raise MemkitError(f"{type(self).__name__} has no values apart from its keys, to be permuted")
