"""Code that a user would write without memkit, for cohort.py: ordinary ``torch.nn`` modules and a loop over seeds.

The slot networks and the Transformer use the same optimisations as memkit's (linear maps are applied once per word of
the vocabulary, reads are computed in closed form, and the last block is computed for the last token only) and give the
same logits with the same parameters. ``Stepwise`` and ``Encoder`` are the straightforward versions: a loop over tokens,
and torch's own layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.slots import read, reset, write, write_weights
from memkit.training.streams import generator


def one_hot(tokens: Tensor, words: int) -> Tensor:
    """Return one-hot vectors [..., words] for tokens [...]."""
    return F.one_hot(tokens, words).float()


class RuleSlots(nn.Module):
    """memkit's SlotNetwork with ``addressing="rule"``, for one seed."""

    def __init__(self, *, tokens: int, answers: int, positions: int, length: int, width: int, **options: Any) -> None:
        super().__init__()
        self.positions, self.memory = positions, options["memory"]
        self.embedding = nn.Embedding(tokens, width)
        self.address, self.value = nn.Linear(width, options["slots"]), nn.Linear(width, width)
        self.decoder, self.direct = nn.Linear(width, answers), nn.Linear(width, positions * answers)
        self.register_buffer("binders", torch.tensor(options["binders"]))
        self.register_buffer("queries", torch.tensor(options["queries"]))

    def rule(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the write gate [B, L], and one-hot over time which read each answer uses [B, P, L]."""
        gate = F.pad(torch.isin(tokens, self.binders)[:, :-1], (1, 0)).float()
        is_query = F.pad(torch.isin(tokens, self.queries)[:, :-1], (1, 0))
        number = is_query.cumsum(-1)
        answered = torch.minimum(torch.arange(1, self.positions + 1).view(1, -1, 1), number[:, -1:].unsqueeze(-1))
        return gate, (is_query.unsqueeze(1) & (number.unsqueeze(1) == answered)).float()

    def forward(self, tokens: Tensor) -> Tensor:
        words = self.embedding.weight
        indicators = one_hot(tokens, len(words))
        gate, when = self.rule(tokens)
        address = indicators @ torch.softmax(self.address(words), -1)
        weights = write_weights(F.pad(address[:, :-2], (0, 0, 2, 0)), gate, address, when, writing=self.memory)
        logits = self.decoder((weights @ indicators) @ self.value(words))
        direct = F.embedding(tokens[:, -1], self.direct(words)).view(len(tokens), self.positions, -1)
        return logits + direct


class Stepwise(RuleSlots):
    """The same network with a loop over tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.embedding(tokens)
        gate, when = self.rule(tokens)
        address, value = torch.softmax(self.address(embedded), -1), self.value(embedded)
        write_address = F.pad(address[:, :-2], (0, 0, 2, 0))
        state, reads = reset(value[:, 0], address.shape[-1]), []
        for t in range(tokens.shape[1]):
            state = write(state, write_address[:, t], value[:, t], gate[:, t], writing=self.memory)
            reads.append(read(state, address[:, t]))
        logits = self.decoder(when @ torch.stack(reads, 1))
        return logits + self.direct(embedded[:, -1]).view(len(tokens), self.positions, -1)


def window(x: Tensor) -> Tensor:
    """Return the vectors of the last three tokens at every position: [B, L, d] gives [B, L, 3, d]."""
    padded, length = F.pad(x, (0, 0, 2, 0)), x.shape[1]
    return torch.stack([padded[:, 2 - offset : 2 - offset + length] for offset in range(3)], 2)


class FactorisedSlots(nn.Module):
    """memkit's SlotNetwork with ``addressing="factorised"`` and without ``direct``, for one seed."""

    def __init__(self, *, tokens: int, answers: int, positions: int, length: int, width: int, **options: Any) -> None:
        super().__init__()
        self.memory, self.positions, slots = options["memory"], positions, options["slots"]
        self.embedding = nn.Embedding(tokens, width)
        self.address, self.value = nn.Linear(width, slots), nn.Linear(width, width)
        self.choose, self.choose_offset = nn.Linear(width, 3), nn.Parameter(torch.zeros(3, 3))
        self.gate, self.when = nn.Linear(3 * width, 1), nn.Linear(3 * width, positions)
        self.when_time = nn.Parameter(torch.zeros(positions, length))
        self.decoder = nn.Linear(width, answers)

    def forward(self, tokens: Tensor) -> Tensor:
        words = self.embedding.weight
        recent = window(one_hot(tokens, len(words)))
        choice = torch.softmax(recent @ self.choose(words) + self.choose_offset, 2)
        keys = choice[..., ::2].transpose(2, 3) @ (recent @ (words @ self.address.weight.T)) + self.address.bias
        write_address, read_address = torch.softmax(keys, -1).unbind(2)
        maps = torch.cat([self.gate.weight, self.when.weight]).view(-1, 3, words.shape[1])
        by_offset = torch.einsum("wd,nod->own", words, maps).flatten(0, 1)
        logits = recent.flatten(2) @ by_offset + torch.cat([self.gate.bias, self.when.bias])
        when = torch.softmax(logits[..., 1:].transpose(1, 2) + self.when_time, -1)
        gate = torch.sigmoid(logits[..., 0])
        weights = write_weights(write_address, gate, read_address, when, writing=self.memory)
        token_weights = (weights.unsqueeze(-1) * choice[..., 1].unsqueeze(1)).flatten(2)
        values = (token_weights @ recent.flatten(1, 2)) @ (words @ self.value.weight.T)
        return self.decoder(values + weights.sum(-1, keepdim=True) * self.value.bias)


class StepwiseFactorised(FactorisedSlots):
    """The same network on token embeddings, with a loop over tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.embedding(tokens)
        recent = window(embedded)
        choice = torch.softmax(window(self.choose(embedded)) + self.choose_offset, 2)
        write_key, content, read_key = (choice.transpose(2, 3) @ recent).unbind(2)
        write_address, read_address = (torch.softmax(self.address(key), -1) for key in (write_key, read_key))
        value, flat = self.value(content), recent.flatten(2)
        gate = torch.sigmoid(self.gate(flat)).squeeze(-1)
        when = torch.softmax(self.when(flat).transpose(1, 2) + self.when_time, -1)
        state, reads = reset(value[:, 0], write_address.shape[-1]), []
        for t in range(tokens.shape[1]):
            state = write(state, write_address[:, t], value[:, t], gate[:, t], writing=self.memory)
            reads.append(read(state, read_address[:, t]))
        return self.decoder(when @ torch.stack(reads, 1))


class Block(nn.Module):
    """A pre-norm Transformer layer; with ``last``, it is computed for the last token only."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_feedforward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, visible: Tensor, *, last: bool) -> Tensor:
        batch, length, width = x.shape
        projections = self.inward(self.before_attention(x)).chunk(3, -1)
        query, key, value = (p.view(batch, length, self.heads, -1).transpose(1, 2) for p in projections)
        mixed = F.scaled_dot_product_attention(query[:, :, -1:] if last else query, key, value, attn_mask=visible)
        x = (x[:, -1:] if last else x) + self.outward(mixed.transpose(1, 2).reshape(batch, -1, width))
        return x + self.narrow(F.gelu(self.widen(self.before_feedforward(x))))


class Transformer(nn.Module):
    """memkit's TransformerNetwork with its default layers, for one seed."""

    def __init__(self, *, tokens: int, answers: int, positions: int, length: int, width: int) -> None:
        super().__init__()
        self.positions = positions
        self.embedding, self.position = nn.Embedding(tokens, width), nn.Parameter(torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width, heads=4) for _ in range(2))
        self.last, self.decoder = nn.LayerNorm(width), nn.Linear(width, positions * answers)

    def forward(self, tokens: Tensor) -> Tensor:
        visible = (tokens != 0)[:, None, None]
        x = self.embedding(tokens) + self.position
        for number, block in enumerate(self.blocks, start=1):
            x = block(x, visible, last=number == len(self.blocks))
        return self.decoder(self.last(x[:, -1])).view(len(tokens), self.positions, -1)


class Encoder(Transformer):
    """The same network with ``nn.TransformerEncoder``."""

    def __init__(self, *, width: int, **sizes: int) -> None:
        super().__init__(width=width, **sizes)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        del self.blocks
        self.encoder = nn.TransformerEncoder(layer, 2, norm=None, enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.encoder(self.embedding(tokens) + self.position, src_key_padding_mask=tokens == 0)
        return self.decoder(self.last(x[:, -1])).view(len(tokens), self.positions, -1)


class LSTM(nn.Module):
    """memkit's LSTMNetwork for one seed, with ``nn.LSTM``."""

    def __init__(self, *, tokens: int, answers: int, positions: int, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.positions, self.embedding = positions, nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.decoder = nn.Linear(width, positions * answers)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(tokens))
        return self.decoder(hidden[:, -1]).view(len(tokens), self.positions, -1)


# --- modules that do not depend on memkit, for `Recipe(..., vmap=True)` ----------------------------------------


class MLP(nn.Module):
    """An MLP on the first vector: x [B, 8, 32] → logits [B, 2]."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        sizes = (32, width, width)
        hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x[:, 0])


class SlotsOfVectors(nn.Module):
    """Additive slots with a loop over vectors: x [B, 8, 32] → logits [B, 2]."""

    def __init__(self, width: int = 64, slots: int = 4) -> None:
        super().__init__()
        self.address, self.value, self.out = nn.Linear(32, slots), nn.Linear(32, width), nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        address, value = torch.softmax(self.address(x), -1), self.value(x)
        state = reset(value[:, 0], address.shape[-1])
        for t in range(x.shape[1]):
            state = state + address[:, t].unsqueeze(-1) * value[:, t].unsqueeze(-2)
        return self.out(read(state, address[:, -1]))


class EncoderOfVectors(nn.Module):
    """An ``nn.TransformerEncoder``: x [B, 8, 32] → logits [B, 2]."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encoder(x)[:, -1])


def vectors(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    """Draw x [B, 8, 32] and labels [B]: 1 where the first entry is positive, else 0."""
    x = torch.randn(size, 8, 32, generator=generator)
    return x, (x[:, 0, 0] > 0).long()


# --- the loop --------------------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def plain_loop(model: nn.Module, recipe: Any, draw: Callable[..., tuple[Tensor, Tensor]]) -> float:
    """Train one seed in an ordinary loop, and return the CPU seconds per step, without the first step."""
    data = generator(0, "data", "")
    optimizer = OPTIMIZERS[recipe.optimizer](model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    history = []
    began = 0.0
    for step in range(recipe.steps):
        if step == 1:
            began = time.process_time()
        inputs, targets = draw(data, recipe.batch)
        loss = F.cross_entropy(model(inputs).flatten(0, -2), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return (time.process_time() - began) / (recipe.steps - 1)
