"""A small GPT that reads contexts one after another, with memories that persist between contexts.

    S seeds   B episodes   N contexts   L tokens   d width

    x_0 = E[token] + position                       tokens [S, B, N, L] → [S, B, N, L, d]; positions restart at 0
    x ← x + Attention(LayerNorm(x))                 causal, within one context
    x ← x + W₂ GELU(W₁ LayerNorm(x))
    M ← write(M, x), x ← x + read(M, x)             after the chosen blocks: memkit/models/gpt_memory
    logits = E LayerNorm(x_last)                    → [S, B, N, L, V]

Information passes from one context to the next only through a memory. The network and its initial values are those of
GPT-2 (Radford et al. 2019): weights are normal with standard deviation ``initial`` (0.02 in GPT-2), divided by
√(2·layers) where the result is added to x.
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
"""The state of each memory, by the name of the memory."""
Updates: TypeAlias = Literal["every block", "later half"]


class NormalLinear(Linear):
    """Linear layer y = x W[s] + b[s] with W drawn from a normal distribution and b = 0 at the start."""

    def __init__(self, generators: Generators, inputs: int, outputs: int, *, scale: float) -> None:
        nn.Module.__init__(self)
        self.weight = normal(generators, inputs, outputs, scale=scale)
        self.bias = constant(generators, 1, outputs)


class Block(nn.Module):
    """A Transformer block: causal attention and a feed-forward layer, each with a residual connection."""

    def __init__(
        self, generators: Generators, width: int, *, heads: int, expansion: int, layers: int, initial: float
    ) -> None:
        super().__init__()
        self.heads = heads
        residual_scale = initial * (2 * layers) ** -0.5
        self.before_attention = LayerNorm(generators, width)
        self.inward = NormalLinear(generators, width, 3 * width, scale=initial)
        self.outward = NormalLinear(generators, width, width, scale=residual_scale)
        self.before_feedforward = LayerNorm(generators, width)
        self.widen = NormalLinear(generators, width, expansion * width, scale=initial)
        self.narrow = NormalLinear(generators, expansion * width, width, scale=residual_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block: x [S, ..., L, d] → [S, ..., L, d]."""
        x = x + self.outward(self.causal_attention(self.inward(self.before_attention(x))))
        update: Tensor = self.narrow(F.gelu(self.widen(self.before_feedforward(x))))
        return x + update

    def causal_attention(self, projected: Tensor) -> Tensor:
        """Return causal self-attention, before the output projection.

        Args:
            projected: queries, keys and values side by side, [S, ..., L, 3d].

        Returns:
            [S, ..., L, d]
        """
        *outer, length, _ = projected.shape
        # [·, H, L, d/H]
        queries, keys, values = (
            part.reshape(-1, length, self.heads, part.shape[-1] // self.heads).transpose(1, 2)
            for part in projected.chunk(3, -1)
        )
        output = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        return output.transpose(1, 2).reshape(*outer, length, -1)


class GPT(nn.Module):
    """A GPT with memories; see the equations above.

    Attributes:
        block: the maximum number of tokens per context.
        written: how many contexts at the start of an input are written to the memory; the model predicts the others,
            which read it. None: the model reads all contexts in order, and predicts all of them.
        memory: the kind of memory and its settings, such as ``{"kind": "slots", "slots": 8}``; None for no memory.
        after: the blocks, counted from 1, that are followed by a memory; None for all blocks.
        shared: True if all these blocks share one memory, as in the published model; False if each has its own.
        updates: the blocks after which the memory is written.

    >>> import torch
    >>> from memkit.models import GPT
    >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    >>> memory = {"kind": "slots", "slots": 4}
    >>> model = GPT(generators=generators, tokens=50, block=16, written=2, width=32, memory=memory)
    >>> contexts = torch.randint(50, (2, 3, 5, 16))  # 2 seeds, 3 episodes, 5 contexts of 16 tokens
    >>> model(contexts).shape  # 2 contexts are written, and the other 3 are predicted
    torch.Size([2, 3, 3, 16, 50])
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
        if not after or not all(1 <= index <= layers for index in after):
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
            self.memory_of = {index: "all" if shared else str(index) for index in after}
            for name in dict.fromkeys(self.memory_of.values()):
                self.memories[name] = memory_layer(generators, width, memory)
        self.updated = {index for index in self.memory_of if updates == "every block" or index > layers // 2}
        self.last = LayerNorm(generators, width)

    @property
    def state_size(self) -> int:
        """The size of the memories' states, in numbers per episode."""
        return sum(self.layer(name).state_size for name in self.memories)

    def layer(self, name: str) -> MemoryLayer:
        """Return the memory layer with the given name."""
        layer = self.memories[name]
        assert isinstance(layer, MemoryLayer)
        return layer

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, Q, L, V] for the Q predicted contexts of tokens [S, B, N, L].

        Raises:
            MemkitError: the input has no context to predict.
        """
        if self.written is None:
            logits, _ = self.stream(tokens)
            return logits
        if tokens.shape[2] <= self.written:
            raise MemkitError(
                f"an input of {tokens.shape[2]} contexts leaves none to predict: the first {self.written} are written"
            )
        return self.complete(self.remember(tokens[:, :, : self.written]), tokens[:, :, self.written :])

    def empty(self, tokens: Tensor) -> States:
        """Return empty memory states for contexts [S, B, N, L]."""
        return {name: self.layer(name).empty(tokens.shape[1], tokens.device) for name in self.memories}

    def remember(self, tokens: Tensor, states: States | None = None) -> States:
        """Return the memory states after writing contexts [S, B, N, L], one after another."""
        states = self.empty(tokens) if states is None else states
        if not any(self.memory_of[index] in states for index in self.updated) or not tokens.shape[2]:
            return states
        if len(self.memory_of) == 1:
            # The hidden states at the only memory do not depend on it, so all contexts can be processed at once.
            (name,) = self.memory_of.values()
            return {name: self.layer(name).written(states[name], self.hidden(tokens))}
        for context in torch.split(tokens, 1, 2):
            _, states = self.run_blocks(context, states, writing=True)
        return states

    def hidden(self, tokens: Tensor) -> Tensor:
        """Return the hidden states at the first memory: contexts [S, B, N, L] → [S, B, N, L, d]."""
        index = min(self.memory_of)
        x = self.embed(tokens)
        for block in self.blocks[:index]:
            x = block(x)
        return x

    def complete(self, states: States, tokens: Tensor) -> Tensor:
        """Return logits [S, B, Q, L, V] for contexts [S, B, Q, L], which read the memories but do not write them.

        Args:
            states: the memory states; ``{}`` to read no memory.
        """
        x, _ = self.run_blocks(tokens, states, writing=False)
        return self.predict(x)

    def stream(self, tokens: Tensor, states: States | None = None) -> tuple[Tensor, States]:
        """Process contexts [S, B, N, L] in order: each context first reads the memories, then is written to them.

        Returns:
            logits [S, B, N, L, V] and the final memory states
        """
        states = self.empty(tokens) if states is None else states
        logits = []
        for context in torch.split(tokens, 1, 2):
            logits.append(self.complete(states, context))
            states = self.remember(context, states)
        return torch.cat(logits, 2), states

    def run_blocks(self, tokens: Tensor, states: States, *, writing: bool) -> tuple[Tensor, States]:
        """Run contexts [S, B, N, L] through all blocks.

        With ``writing``, each memory is written before it is read, block by block, as in the published model.

        Returns:
            the last hidden states [S, B, N, L, d], after the final LayerNorm, and the memory states
        """
        x, updated_states = self.embed(tokens), dict(states)
        for index, block in enumerate(self.blocks, start=1):
            x = block(x)
            name = self.memory_of.get(index)
            if name is None or name not in updated_states:
                continue
            if writing and index in self.updated:
                updated_states[name] = self.layer(name).written(updated_states[name], x)
            x = x + self.layer(name).read(updated_states[name], x)
        return self.last(x), updated_states

    def predict(self, x: Tensor) -> Tensor:
        """Return logits [S, ..., V] from the last hidden states [S, ..., d]."""
        return (x.flatten(1, -2) @ self.embedding.weight.mT).view(*x.shape[:-1], -1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return token plus position embeddings: tokens [S, B, N, L] → [S, B, N, L, d].

        Raises:
            MemkitError: a context is longer than ``block``.
        """
        length = tokens.shape[-1]
        if length > self.block:
            raise MemkitError(f"a context of {length} tokens is too long: the block has {self.block} tokens")
        embedded: Tensor = self.embedding(tokens)
        return embedded + self.position[:, None, None, :length]
