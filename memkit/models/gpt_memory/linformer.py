"""The published LinformerMemory in a GPT: it adds a linear map of a token's cosines with the slots to its hidden state.

    M ← write(M, x)                                            memkit/memories/linformer.py
    read_t = W [cos(x_t, M[1]) … cos(x_t, M[K])] + b

The published module also holds a d × d projection, one number per slot and a temperature, none of which is used. They
are 98 % of its parameters, and are left out here. Slots start at random values, normal with standard deviation 0.01.
State size: K·d.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memkit.errors import MemkitError, suggestion
from memkit.memories import linformer
from memkit.memories.linformer import NORMS, Norm
from memkit.models.gpt_memory.layer import MemoryLayer, State
from memkit.models.layers import Generators, Linear, constant, normal


class LinformerMemory(MemoryLayer):
    """The published memory. A state is the slots [S, B, K, d].

    Attributes:
        slots: K.
        lr, norm, temperature: settings of the writes; the defaults are the published values.
    """

    def __init__(
        self,
        generators: Generators,
        width: int,
        *,
        slots: int = 8,
        lr: float = 0.01,
        norm: Norm = "l2",
        temperature: float = 1.0,
        initial: float = 0.02,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise MemkitError(f"LinformerMemory: norm={norm!r} is unknown{suggestion(str(norm), NORMS)}")
        if slots < 1 or lr < 0 or temperature <= 0:
            raise MemkitError(
                f"LinformerMemory: slots={slots} must be at least 1, lr={lr} 0 or more, and temperature={temperature} "
                "greater than 0"
            )
        self.lr, self.norm, self.temperature = lr, norm, temperature
        self.register_buffer("first", normal(generators, slots, width, scale=0.01).data)
        self.first: Tensor
        self.outward = Linear(generators, slots, width)
        with torch.no_grad():
            self.outward.weight.copy_(normal(generators, slots, width, scale=initial))
            self.outward.bias.copy_(constant(generators, 1, width))

    def empty(self, episodes: int, device: torch.device) -> State:
        return (self.first.unsqueeze(1).expand(-1, episodes, -1, -1),)

    def written(self, state: State, x: Tensor) -> State:
        (slots,) = state
        for context in x.unbind(2):
            slots = linformer.write(slots, context, lr=self.lr, norm=self.norm, temperature=self.temperature)
        return (slots,)

    def read(self, state: State, x: Tensor) -> Tensor:
        (slots,) = state
        read: Tensor = self.outward(linformer.cosines(slots.unsqueeze(2), x))
        return read

    def permute_values(self, state: State, order: Tensor) -> State:
        (slots,) = state
        return (slots[:, :, order],)
