"""A small GPT that reads contexts one after another, with memories that outlast them.

    S seeds   B episodes   N contexts   L tokens   d width

    x_0 = E[token] + position                       tokens [S, B, N, L] → [S, B, N, L, d]; each context begins anew
    x ← x + Attention(LayerNorm(x))                 causal, within a context
    x ← x + W₂ GELU(W₁ LayerNorm(x))
    M ← write(M, x), x ← x + read(M, x)             after the blocks that are named: memkit/models/gpt_memory
    logits = E LayerNorm(x_last)                    → [S, B, N, L, V]

What passes from one context to another passes through a memory. The network is GPT-2's (Radford et al. 2019) with its
initial values: normal with deviation ``initial``, 0.02 there, less by √(2·layers) for what is added to x.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models.gpt_memory import MemoryLayer, State, memory_layer
from memkit.models.layers import Embedding, Generators, LayerNorm, Linear, constant, normal

States: TypeAlias = Mapping[str, State]
"""What each memory holds, by the name of the memory."""
Updates: TypeAlias = Literal["every block", "later half"]


class Normal(Linear):
    """y = x W[s] + b[s], where W is drawn from a normal distribution and b begins at 0."""

    def __init__(self, generators: Generators, inputs: int, outputs: int, *, scale: float) -> None:
        nn.Module.__init__(self)
        self.weight = normal(generators, inputs, outputs, scale=scale)
        self.bias = constant(generators, 1, outputs)


class Block(nn.Module):
    """Causal attention and a feed-forward layer, each added to what it reads."""

    def __init__(
        self, generators: Generators, width: int, *, heads: int, expansion: int, layers: int, initial: float
    ) -> None:
        super().__init__()
        self.heads = heads
        added = initial * (2 * layers) ** -0.5
        self.before_attention = LayerNorm(generators, width)
        self.inward = Normal(generators, width, 3 * width, scale=initial)
        self.outward = Normal(generators, width, width, scale=added)
        self.before_feedforward = LayerNorm(generators, width)
        self.widen = Normal(generators, width, expansion * width, scale=initial)
        self.narrow = Normal(generators, expansion * width, width, scale=added)

    def forward(self, x: Tensor) -> Tensor:
        """[S, ..., L, d] → the same."""
        x = x + self.outward(self.attended(self.inward(self.before_attention(x))))
        change: Tensor = self.narrow(F.gelu(self.widen(self.before_feedforward(x))))
        return x + change

    def attended(self, inward: Tensor) -> Tensor:
        """Queries, keys, values [S, ..., L, 3d] → what every token sees of itself and those before, [S, ..., L, d]."""
        *outer, length, _ = inward.shape
        # [·, H, L, d/H]
        query, key, value = (
            part.reshape(-1, length, self.heads, part.shape[-1] // self.heads).transpose(1, 2)
            for part in inward.chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(*outer, length, -1)


class GPT(nn.Module):
    """The network; equations above.

    Attributes:
        block: most tokens of a context.
        written: contexts of an input that are written, from its beginning; it predicts those that come after, which
            read what is left of these. None: it reads a text, one context after another, and predicts all of it.
        memory: a kind of memory and its settings, such as ``{"kind": "slots", "slots": 8}``; None: there is none.
        after: the blocks, from 1, that a memory follows; None: every one.
        shared: one memory for all of them, as published, and not one each.
        updates: the blocks after which a memory is written.
    """

    seed_axis = True

    def __init__(
        self,
        *,
        generators: Generators,
        tokens: int,
        block: int,
        written: int | None = None,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        expansion: int = 4,
        initial: float = 0.02,
        memory: Mapping[str, Any] | None = None,
        after: tuple[int, ...] | None = (1,),
        shared: bool = False,
        updates: Updates = "every block",
    ) -> None:
        super().__init__()
        if layers < 1 or width % heads:
            raise MemkitError(f"GPT: layers={layers} must be positive, and width={width} a multiple of heads={heads}")
        if block < 1 or (written is not None and written < 0):
            raise MemkitError(f"GPT: block={block} must be at least 1 token, and written={written} 0 contexts or more")
        after = tuple(range(1, layers + 1)) if after is None else tuple(after)
        if not after or not all(1 <= at <= layers for at in after):
            raise MemkitError(f"GPT: after={after} must be blocks from 1 to {layers}")
        if updates not in ("every block", "later half"):
            raise MemkitError(f"GPT: updates={updates!r} must be 'every block' or 'later half'")
        self.block, self.written = block, written
        self.embedding = Embedding(generators, tokens, width, scale=initial)
        self.position = normal(generators, block, width, scale=initial)
        shape: dict[str, Any] = {"heads": heads, "expansion": expansion, "layers": layers, "initial": initial}
        self.blocks = nn.ModuleList(Block(generators, width, **shape) for _ in range(layers))
        self.memories = nn.ModuleDict()
        self.memory_of: dict[int, str] = {}
        if memory is not None:
            self.memory_of = {at: "all" if shared else str(at) for at in after}
            for name in dict.fromkeys(self.memory_of.values()):
                self.memories[name] = memory_layer(generators, width, memory)
        self.updated = {at for at in self.memory_of if updates == "every block" or at > layers // 2}
        self.last = LayerNorm(generators, width)

    @property
    def state_size(self) -> int:
        """The size of the memories' states, in numbers per episode."""
        return sum(self.layer(name).state_size for name in self.memories)

    def layer(self, name: str) -> MemoryLayer:
        """The memory of that name."""
        layer = self.memories[name]
        assert isinstance(layer, MemoryLayer)
        return layer

    def forward(self, tokens: Tensor) -> Tensor:
        """Contexts [S, B, N, L] → logits of those that are predicted [S, B, Q, L, V]."""
        if self.written is None:
            logits, _ = self.stream(tokens)
            return logits
        if tokens.shape[2] <= self.written:
            raise MemkitError(
                f"an input of {tokens.shape[2]} contexts has none to predict: the first {self.written} are written"
            )
        return self.complete(self.remember(tokens[:, :, : self.written]), tokens[:, :, self.written :])

    def empty(self, tokens: Tensor) -> States:
        """Memories in which nothing was written, for contexts [S, B, N, L]."""
        return {name: self.layer(name).empty(tokens.shape[1], tokens.device) for name in self.memories}

    def remember(self, tokens: Tensor, states: States | None = None) -> States:
        """Return the memories' states after they were written with the contexts [S, B, N, L], one after another."""
        states = self.empty(tokens) if states is None else states
        if not any(self.memory_of[at] in states for at in self.updated) or not tokens.shape[2]:
            return states
        if len(self.memory_of) == 1:
            # Nothing after the only memory is written, so all contexts are run up to it at once.
            (name,) = self.memory_of.values()
            return {name: self.layer(name).written(states[name], self.hidden(tokens))}
        for context in torch.split(tokens, 1, 2):
            _, states = self.passed(context, states, writing=True)
        return states

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the hidden states of contexts [S, B, N, L] at the network's first memory: [S, B, N, L, d]."""
        at = min(self.memory_of)
        x = self.embed(tokens)
        for block in self.blocks[:at]:
            x = block(x)
        return x

    def complete(self, states: States, tokens: Tensor) -> Tensor:
        """Contexts [S, B, Q, L] that only read the memories → logits [S, B, Q, L, V]; with ``{}`` they read nothing."""
        x, _ = self.passed(tokens, states, writing=False)
        return self.predict(x)

    def stream(self, tokens: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """Contexts [S, B, N, L], each of which reads what those before it left → logits, and what the memories hold."""
        states = self.empty(tokens) if states is None else states
        logits = []
        for context in torch.split(tokens, 1, 2):
            logits.append(self.complete(states, context))
            states = self.remember(context, states)
        return torch.cat(logits, 2), states

    def passed(self, tokens: Tensor, states: States, *, writing: bool) -> tuple[Tensor, States]:
        """Contexts [S, B, N, L] → their last hidden states [S, B, N, L, d], and what the memories hold.

        Where they write, it is before they read, block by block, as in the published model.
        """
        x, held = self.embed(tokens), dict(states)
        for at, block in enumerate(self.blocks, start=1):
            x = block(x)
            name = self.memory_of.get(at)
            if name is None or name not in held:
                continue
            if writing and at in self.updated:
                held[name] = self.layer(name).written(held[name], x)
            x = x + self.layer(name).read(held[name], x)
        return self.last(x), held

    def predict(self, x: Tensor) -> Tensor:
        """Last hidden states [S, ..., d] → logits [S, ..., V]."""
        return (x.flatten(1, -2) @ self.embedding.weight.mT).view(*x.shape[:-1], -1)

    def embed(self, tokens: Tensor) -> Tensor:
        """[S, B, N, L] → [S, B, N, L, d]."""
        length = tokens.shape[-1]
        if length > self.block:
            raise MemkitError(f"a context of {length} tokens is longer than the block, which has {self.block}")
        embedded: Tensor = self.embedding(tokens)
        return embedded + self.position[:, None, None, :length]
