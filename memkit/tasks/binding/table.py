"""A task's whole input space as one table, and its split by held-out (variable, action) combinations.

A row of the table is a command: N commands of L tokens with P answers.

    inputs   [N, L]   tokens, padded on the left, so that the last token is the command's last word
    targets  [N, P]   answers, END after the last action
    binds    [N, V·A] which (variable, action) combinations the command states
    asks     [N, V·A] which of them its answer needs
    weights  [N]      how often training draws it, relative to the others
    beyond   [N]      whether the task keeps it from training for its kind, whatever it states
    patterns  N       the name of its pattern, such as ``twice`` or ``past/1``: a group, and a kind within it

The split draws combinations, not commands. A training command states kept combinations only; a held-out
command asks for a combination that no training command ever stated. Commands that state such a combination
without asking for it belong to neither. A task may also keep kinds of commands from training (longer
repetitions, say), which crosses the first split with a second:

                                  trained kinds    kinds beyond
    states kept combinations      train            beyond
    asks for a missing one        held_out         held_out_beyond
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from memkit.tasks.binding.vocabulary import END, PAD, Vocabulary

Commands: TypeAlias = tuple[Tensor, Tensor]
"""Inputs [N, L] and targets [N, P]."""
Sampler: TypeAlias = Callable[[torch.Generator, int], Commands]
"""(generator, size) → a batch of training commands."""
Subset: TypeAlias = Literal["train", "held_out", "beyond", "held_out_beyond", "all"]
MOST_COMMANDS = 200_000


@dataclass(frozen=True)
class Row:
    """One command: its tokens and answers, the (variable, action) pairs it states and those it asks for.

    A command is ``beyond`` when training must not draw it whatever it states; ``pattern`` is its kind's name.
    """

    tokens: tuple[int, ...]
    answers: tuple[int, ...]
    binds: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    weight: float = 1.0
    beyond: bool = False
    pattern: str = ""


@dataclass(frozen=True)
class Table:
    """Every command of a task; shapes above."""

    inputs: Tensor
    targets: Tensor
    binds: Tensor
    asks: Tensor
    weights: Tensor
    beyond: Tensor
    patterns: tuple[str, ...]

    def of(self, pattern: str) -> Tensor:
        """Return which commands have a pattern, or one of a group (``past`` for ``past/1`` and ``past/2``): bool [N].

        Raises:
            ValueError: no command has it.
        """
        chosen = torch.tensor([pattern in (name, group(name)) for name in self.patterns])
        if not chosen.any():
            known = [name for name in dict.fromkeys(self.patterns) if name]
            raise ValueError(f"no command has pattern {pattern!r}; there are: {', '.join(known) or 'none'}")
        return chosen


def group(pattern: str) -> str:
    """The group of a pattern: what stands before its slash, or all of it."""
    return pattern.partition("/")[0]


@dataclass(frozen=True, kw_only=True)
class BindingTask(ABC):
    """The base of all binding tasks; ``held_out`` is the share of combinations that training never states."""

    variables: int = 3
    actions: int = 5
    held_out: float = 0.0

    def __post_init__(self) -> None:
        Vocabulary(self.variables, self.actions)
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be a share in [0, 1), not {self.held_out}")
        # This many can always be held out without leaving a variable or an action with no combination.
        most = (self.variables - 1) * (self.actions - 1) - 1
        if self._held_out_count() > most:
            raise ValueError(
                f"held_out must leave every variable and action in training: at most {most} of "
                f"{self.variables * self.actions} combinations, not {self._held_out_count()}"
            )

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Every command, each once, in a fixed order."""

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.variables, self.actions)

    @property
    def sizes(self) -> dict[str, int]:
        """The keyword arguments that every model for this task takes."""
        table = whole(self)
        return {
            "tokens": len(self.vocabulary.words),
            "answers": len(self.vocabulary.answers),
            "positions": table.targets.shape[1],
            "length": table.inputs.shape[1],
        }

    def for_seed(self, generator: torch.Generator) -> Sampler:
        """A sampler of training commands: ``sampler(generator, size)`` → inputs [size, L], targets [size, P].

        The generator given here draws the split only; the one given to the sampler draws the batch.
        """
        table = whole(self)
        rows = self._subset(generator, "train")
        inputs, targets = table.inputs[rows], table.targets[rows]
        heaped = table.weights[rows].double().cumsum(0)
        heaped = heaped / heaped[-1]

        def sample(generator: torch.Generator, size: int) -> Commands:
            drawn = torch.searchsorted(heaped, torch.rand(size, dtype=torch.double, generator=generator))
            return inputs[drawn], targets[drawn]

        return sample

    @property
    def patterns(self) -> tuple[str, ...]:
        """The names of the patterns that its commands have, in the table's order; none where they have no names."""
        return tuple(name for name in dict.fromkeys(whole(self).patterns) if name)

    def commands(self, generator: torch.Generator, subset: Subset = "all", *, pattern: str | None = None) -> Commands:
        """Every command of a subset, once; the split is for_seed's, given an equally seeded generator.

        Args:
            generator: draws the split.
            subset: the kinds of commands drawn above.
            pattern: only the commands of this pattern, or group of patterns.

        Raises:
            ValueError: there is no such command.
        """
        table = whole(self)
        rows = self._subset(generator, subset)
        if pattern is not None:
            rows = rows[table.of(pattern)[rows]]
            if not len(rows):
                raise ValueError(f"no command with pattern {pattern!r} is in subset {subset!r}")
        return table.inputs[rows], table.targets[rows]

    def by_pattern(
        self, generator: torch.Generator, subset: Subset = "all", *, grouped: bool = False
    ) -> dict[str, Commands]:
        """The subset's commands by pattern, or by group of patterns; patterns that the subset lacks are left out."""
        table = whole(self)
        found: dict[str, list[int]] = {}
        for row in self._subset(generator, subset).tolist():
            name = table.patterns[row]
            found.setdefault(group(name) if grouped else name, []).append(row)
        return {name: (table.inputs[rows], table.targets[rows]) for name, rows in found.items()}

    def modifications(self, generator: torch.Generator, subset: Subset = "all") -> tuple[Commands, Commands]:
        """All pairs of the subset's commands that differ in the action of one binding, and in nothing else.

        Returns the commands before and after the modification, M each; an unordered pair is listed once.
        """
        inputs, targets = self.commands(generator, subset)
        actions = self.vocabulary.action(0)
        alike: dict[tuple[int, ...], list[int]] = {}
        for row, tokens in enumerate(inputs.tolist()):
            for place, token in enumerate(tokens):
                if token >= actions:
                    blanked = (place, *tokens[:place], *tokens[place + 1 :])
                    alike.setdefault(blanked, []).append(row)
        pairs = [(one, other) for rows in alike.values() for at, one in enumerate(rows) for other in rows[at + 1 :]]
        before, after = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
        return (inputs[before], targets[before]), (inputs[after], targets[after])

    def kept(self, generator: torch.Generator) -> Tensor:
        """Return which combinations training may state: bool [variables, actions], one or more per row and column."""
        kept = torch.ones(self.variables, self.actions, dtype=torch.bool)
        missing = self._held_out_count()
        for pair in torch.randperm(kept.numel(), generator=generator).tolist():
            variable, action = divmod(pair, self.actions)
            if missing and kept[variable].sum() > 1 and kept[:, action].sum() > 1:
                kept[variable, action] = False
                missing -= 1
        return kept

    def _held_out_count(self) -> int:
        return round(self.held_out * self.variables * self.actions)

    def _subset(self, generator: torch.Generator, subset: Subset) -> Tensor:
        """Row indices of a subset."""
        table = whole(self)
        missing = ~self.kept(generator).flatten()
        stated, asked = (table.binds & missing).any(1), (table.asks & missing).any(1)
        chosen = {
            "train": ~stated & ~table.beyond,
            "held_out": asked & ~table.beyond,
            "beyond": ~stated & table.beyond,
            "held_out_beyond": asked & table.beyond,
            "all": torch.ones(len(table.binds), dtype=torch.bool),
        }
        if subset not in chosen:
            raise ValueError(f"subset must be one of {', '.join(chosen)}, not {subset!r}")
        rows = chosen[subset].nonzero().squeeze(1)
        if not len(rows):
            raise ValueError(f"no command is in subset {subset!r} of {self}")
        return rows


@lru_cache(maxsize=32)
def whole(task: BindingTask) -> Table:
    """The task's table. Cached: it depends on the task's fields alone."""
    rows = []
    for row in task.rows():
        rows.append(row)
        if len(rows) > MOST_COMMANDS:
            raise ValueError(f"{task} has more than {MOST_COMMANDS} commands: take fewer variables or actions")
    length = max(len(row.tokens) for row in rows)
    positions = max(len(row.answers) for row in rows)

    def marks(pairs: list[tuple[tuple[int, int], ...]]) -> Tensor:
        marked = torch.zeros(len(rows), task.variables * task.actions, dtype=torch.bool)
        places = [(row, v * task.actions + a) for row, stated in enumerate(pairs) for v, a in stated]
        marked[torch.tensor(places, dtype=torch.long).reshape(-1, 2).unbind(1)] = True
        return marked

    return Table(
        inputs=torch.tensor([[PAD] * (length - len(row.tokens)) + list(row.tokens) for row in rows]),
        targets=torch.tensor([list(row.answers) + [END] * (positions - len(row.answers)) for row in rows]),
        binds=marks([row.binds for row in rows]),
        asks=marks([row.asks for row in rows]),
        weights=torch.tensor([row.weight for row in rows]),
        beyond=torch.tensor([row.beyond for row in rows]),
        patterns=tuple(row.pattern for row in rows),
    )
