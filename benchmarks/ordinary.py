"""The code that a user writes without memkit: ordinary ``torch.nn`` modules, and one loop per seed; for cohort.py.

The slot networks and the Transformer here take the same short ways as memkit's (maps of words made once a word,
reads in closed form, only the last token followed through the last block) and give the same logits from the same
parameters. ``Stepwise`` and ``Encoder`` are how one would write them first: step by step, and torch's own layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from memkit.memories.slots import read, recalled, reset, write
from memkit.training.streams import generator


def one_hot(tokens: Tensor, words: int) -> Tensor:
    """Tokens [...] → [..., words]."""
    return F.one_hot(tokens, words).float()


class RuleSlots(nn.Module):
    """memkit's SlotNetwork with ``addressing="rule"``, of one seed."""

    def __init__(self, *, tokens: int, answers: int, positions: int, length: int, width: int, **options: Any) -> None:
        super().__init__()
        self.positions, self.memory = positions, options["memory"]
        self.embedding = nn.Embedding(tokens, width)
        self.address, self.value = nn.Linear(width, options["slots"]), nn.Linear(width, width)
        self.decoder, self.direct = nn.Linear(width, answers), nn.Linear(width, positions * answers)
        self.register_buffer("binders", torch.tensor(options["binders"]))
        self.register_buffer("queries", torch.tensor(options["queries"]))

    def rule(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Gate [B, L], and of which time's read each answer is made [B, P, L]."""
        gate = F.pad(torch.isin(tokens, self.binders)[:, :-1], (1, 0)).float()
        asked = F.pad(torch.isin(tokens, self.queries)[:, :-1], (1, 0))
        nth = asked.cumsum(-1)
        turn = torch.minimum(torch.arange(1, self.positions + 1).view(1, -1, 1), nth[:, -1:].unsqueeze(-1))
        return gate, (asked.unsqueeze(1) & (nth.unsqueeze(1) == turn)).float()

    def forward(self, tokens: Tensor) -> Tensor:
        words = self.embedding.weight
        marks = one_hot(tokens, len(words))
        gate, when = self.rule(tokens)
        address = marks @ torch.softmax(self.address(words), -1)
        reached = recalled(F.pad(address[:, :-2], (0, 0, 2, 0)), gate, address, when, writing=self.memory)
        logits = self.decoder((reached @ marks) @ self.value(words))
        direct = F.embedding(tokens[:, -1], self.direct(words)).view(len(tokens), self.positions, -1)
        return logits + direct


class Stepwise(RuleSlots):
    """The same, a token at a time."""

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.embedding(tokens)
        gate, when = self.rule(tokens)
        address, value = torch.softmax(self.address(embedded), -1), self.value(embedded)
        to, state, reads = F.pad(address[:, :-2], (0, 0, 2, 0)), reset(value[:, 0], address.shape[-1]), []
        for t in range(tokens.shape[1]):
            state = write(state, to[:, t], value[:, t], gate[:, t], writing=self.memory)
            reads.append(read(state, address[:, t]))
        logits = self.decoder(when @ torch.stack(reads, 1))
        return logits + self.direct(embedded[:, -1]).view(len(tokens), self.positions, -1)


def window(x: Tensor) -> Tensor:
    """[B, L, d] → [B, L, 3, d], the last three tokens' vectors."""
    padded, length = F.pad(x, (0, 0, 2, 0)), x.shape[1]
    return torch.stack([padded[:, 2 - o : 2 - o + length] for o in range(3)], 2)


class FactorisedSlots(nn.Module):
    """memkit's SlotNetwork with ``addressing="factorised"`` and without ``direct``, of one seed."""

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
        seen = window(one_hot(tokens, len(words)))
        chosen = torch.softmax(seen @ self.choose(words) + self.choose_offset, 2)
        keys = chosen[..., ::2].transpose(2, 3) @ (seen @ (words @ self.address.weight.T)) + self.address.bias
        to, whom = torch.softmax(keys, -1).unbind(2)
        maps = torch.cat([self.gate.weight, self.when.weight]).view(-1, 3, words.shape[1])
        by_place = torch.einsum("wd,nod->own", words, maps).flatten(0, 1)
        found = seen.flatten(2) @ by_place + torch.cat([self.gate.bias, self.when.bias])
        when = torch.softmax(found[..., 1:].transpose(1, 2) + self.when_time, -1)
        reached = recalled(to, torch.sigmoid(found[..., 0]), whom, when, writing=self.memory)
        weights = (reached.unsqueeze(-1) * chosen[..., 1].unsqueeze(1)).flatten(2)
        table = words @ self.value.weight.T
        return self.decoder((weights @ seen.flatten(1, 2)) @ table + reached.sum(-1, keepdim=True) * self.value.bias)


class StepwiseFactorised(FactorisedSlots):
    """The same from the tokens' embeddings, a token at a time."""

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.embedding(tokens)
        recent = window(embedded)
        chosen = torch.softmax(window(self.choose(embedded)) + self.choose_offset, 2)
        to, what, whom = (chosen.transpose(2, 3) @ recent).unbind(2)
        write_address, read_address = (torch.softmax(self.address(x), -1) for x in (to, whom))
        value, flat = self.value(what), recent.flatten(2)
        gate = torch.sigmoid(self.gate(flat)).squeeze(-1)
        when = torch.softmax(self.when(flat).transpose(1, 2) + self.when_time, -1)
        state, reads = reset(value[:, 0], write_address.shape[-1]), []
        for t in range(tokens.shape[1]):
            state = write(state, write_address[:, t], value[:, t], gate[:, t], writing=self.memory)
            reads.append(read(state, read_address[:, t]))
        return self.decoder(when @ torch.stack(reads, 1))


class Block(nn.Module):
    """A pre-norm Transformer layer; with ``last``, for the last token alone."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_feedforward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, visible: Tensor, *, last: bool) -> Tensor:
        batch, length, width = x.shape
        parts = self.inward(self.before_attention(x)).chunk(3, -1)
        query, key, value = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query[:, :, -1:] if last else query, key, value, attn_mask=visible)
        x = (x[:, -1:] if last else x) + self.outward(mixed.transpose(1, 2).reshape(batch, -1, width))
        return x + self.narrow(F.gelu(self.widen(self.before_feedforward(x))))


class Transformer(nn.Module):
    """memkit's TransformerNetwork with its default layers, of one seed."""

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
    """The same of ``nn.TransformerEncoder``."""

    def __init__(self, *, width: int, **sizes: int) -> None:
        super().__init__(width=width, **sizes)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        del self.blocks
        self.encoder = nn.TransformerEncoder(layer, 2, norm=None, enable_nested_tensor=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.encoder(self.embedding(tokens) + self.position, src_key_padding_mask=tokens == 0)
        return self.decoder(self.last(x[:, -1])).view(len(tokens), self.positions, -1)


class LSTM(nn.Module):
    """memkit's LSTMNetwork of one seed, by ``nn.LSTM``."""

    def __init__(self, *, tokens: int, answers: int, positions: int, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.positions, self.embedding = positions, nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.decoder = nn.Linear(width, positions * answers)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(tokens))
        return self.decoder(hidden[:, -1]).view(len(tokens), self.positions, -1)


# --- modules that know nothing of memkit, for `Recipe(..., vmap=True)` -----------------------------------------


class MLP(nn.Module):
    """x [B, 8, 32] → logits [B, 2], from the first vector."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        sizes = (32, width, width)
        hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x[:, 0])


class SlotsOfVectors(nn.Module):
    """x [B, 8, 32] → logits [B, 2]: additive slots, written and read a vector at a time."""

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
    """x [B, 8, 32] → logits [B, 2], by ``nn.TransformerEncoder``."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encoder(x)[:, -1])


def vectors(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    """x [B, 8, 32] → the sign of its first entry, 0 or 1, [B]."""
    x = torch.randn(size, 8, 32, generator=generator)
    return x, (x[:, 0, 0] > 0).long()


# --- the loop --------------------------------------------------------------------------------------------------

OPTIMIZERS: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def plain_loop(model: nn.Module, recipe: Any, draw: Callable[..., tuple[Tensor, Tensor]]) -> float:
    """Train one seed as anybody would; return the CPU seconds per step, without the first step."""
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
