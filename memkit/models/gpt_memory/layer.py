"""The interface of a GPT's memory: a layer that writes contexts into a state, and reads the state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError

State: TypeAlias = tuple[Tensor, ...]
"""The state of a memory: tensors [S, B, ...], separate for each episode."""


class MemoryLayer(nn.Module, ABC):
    """A memory with learnt parameters and a seed axis."""

    @property
    def state_size(self) -> int:
        """The size of the memory's state, in numbers per episode."""
        return sum(part[0, 0].numel() for part in self.empty(1, torch.device("cpu")))

    @abstractmethod
    def empty(self, episodes: int, device: torch.device) -> State:
        """Return the state of an empty memory for a number of episodes."""

    @abstractmethod
    def written(self, state: State, x: Tensor) -> State:
        """Return the state after writing contexts with hidden states x [S, B, N, L, d], in order."""

    @abstractmethod
    def read(self, state: State, x: Tensor) -> Tensor:
        """Return what each token reads, to be added to its hidden state: x [S, B, Q, L, d] → [S, B, Q, L, d].

        The Q contexts are read independently of each other.
        """

    def slot_count(self, state: State) -> int:
        """Return the number of slots in a state; in most memories, the first tensor is [S, B, K, ...]."""
        return state[0].shape[2]

    def permute_values(self, state: State, order: Tensor) -> State:
        """Return the state with its values reordered by a permutation [K]; the keys stay where they are.

        Raises:
            MemkitError: this kind of memory has no separate keys and values.
        """
        raise MemkitError(f"{type(self).__name__} has no separate keys and values, so its values cannot be permuted")
