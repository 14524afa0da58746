"""A task's whole input space as one table, and its split by held-out (variable, action) combinations.

A row of the table is a command: N commands of L tokens with P answers.

    inputs   [N, L]   tokens, padded on the left, so that the last token is the command's last word
    targets  [N, P]   answers, END after the last action
    stated   [N, V·A] whether the command states each (variable, action) combination
    asked    [N, V·A] whether its answer depends on each combination
    weights  [N]      how often training draws the command, relative to the others
    beyond   [N]      whether the command is of a kind that the task excludes from training
    patterns  N       the name of the command's pattern, such as ``twice``, or ``past/1``: a group and a kind within it

The split draws combinations, not commands. A training command states only combinations that are not held out. A
held-out command asks for a combination that no training command states. Commands that state a held-out combination
without asking for it belong to neither subset. A task may also exclude kinds of commands from training, such as longer
repetitions. The two splits are crossed:

                                              trained kinds    kinds beyond
    states no held-out combination            train            beyond
    asks for a held-out combination           held_out         held_out_beyond
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
"""A function (generator, size) → a batch of training commands."""
Subset: TypeAlias = Literal["train", "held_out", "beyond", "held_out_beyond", "all"]
"""The subsets of a task's commands; see the top of this file."""
MOST_COMMANDS = 200_000
"""The largest number of commands of a task."""


@dataclass(frozen=True)
class Row:
    """One command.

    Attributes:
        tokens: its words.
        answers: its answer, without END.
        stated: the (variable, action) combinations that it states.
        asked: those that its answer depends on.
        weight: how often training draws it, relative to the others.
        beyond: whether it is of a kind that the task excludes from training.
        pattern: the name of its pattern; "" if it has none.
    """

    tokens: tuple[int, ...]
    answers: tuple[int, ...]
    stated: tuple[tuple[int, int], ...]
    asked: tuple[tuple[int, int], ...]
    weight: float = 1.0
    beyond: bool = False
    pattern: str = ""


@dataclass(frozen=True)
class Table:
    """All commands of a task, row by row; the shapes are given at the top of this file."""

    inputs: Tensor
    targets: Tensor
    stated: Tensor
    asked: Tensor
    weights: Tensor
    beyond: Tensor
    patterns: tuple[str, ...]

    def has_pattern(self, pattern: str) -> Tensor:
        """Return for each command whether it has a pattern, or one of a group of patterns: bool [N].

        The group of ``past/1`` and ``past/2`` is ``past``.

        Raises:
            ValueError: no command has the pattern.
        """
        matches = torch.tensor([pattern in (name, group(name)) for name in self.patterns])
        if not matches.any():
            known = [name for name in dict.fromkeys(self.patterns) if name]
            raise ValueError(f"no command has pattern {pattern!r}; the patterns are: {', '.join(known) or 'none'}")
        return matches


def group(pattern: str) -> str:
    """Return the group of a pattern: the part before its slash, or the whole name."""
    return pattern.partition("/")[0]


@dataclass(frozen=True, kw_only=True)
class BindingTask(ABC):
    """The base class of all binding tasks.

    Attributes:
        variables, actions: the numbers of variables and of actions in the vocabulary.
        held_out: the share of (variable, action) combinations that no training command states.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Retrieval
    >>> task = Retrieval(held_out=0.2)  # every binding task has these methods
    >>> len(task.commands(generator(1, "split"), "train")[0]), len(task.commands(generator(1, "split"), "held_out")[0])
    (12, 3)
    >>> inputs, targets = task.for_seed(generator(1, "split"))(generator(1, "data"), 4)
    >>> inputs.shape, targets.shape
    (torch.Size([4, 5]), torch.Size([4, 1]))
    """

    variables: int = 3
    actions: int = 5
    held_out: float = 0.0

    def __post_init__(self) -> None:
        Vocabulary(self.variables, self.actions)
        if not 0 <= self.held_out < 1:
            raise ValueError(f"held_out must be a share in [0, 1), not {self.held_out}")
        # This many can always be held out while each variable and each action keeps a combination in training.
        most = (self.variables - 1) * (self.actions - 1) - 1
        if self._held_out_count() > most:
            raise ValueError(
                f"held_out must leave every variable and action in training: at most {most} of "
                f"{self.variables * self.actions} combinations, not {self._held_out_count()}"
            )

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Yield all commands, each once, in a fixed order."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The words and answers of the task's commands."""
        return Vocabulary(self.variables, self.actions)

    @property
    def sizes(self) -> dict[str, int]:
        """The keyword arguments that every model for this task takes."""
        table = table_of(self)
        return {
            "tokens": len(self.vocabulary.words),
            "answers": len(self.vocabulary.answers),
            "positions": table.targets.shape[1],
            "length": table.inputs.shape[1],
        }

    def for_seed(self, generator: torch.Generator) -> Sampler:
        """Return a sampler of training commands: ``sampler(generator, size)`` → inputs [size, L], targets [size, P].

        The generator passed here draws only the split; the one passed to the sampler draws the batch.
        """
        table = table_of(self)
        rows = self._subset(generator, "train")
        inputs, targets = table.inputs[rows], table.targets[rows]
        cumulative = table.weights[rows].double().cumsum(0)
        cumulative = cumulative / cumulative[-1]

        def sample(generator: torch.Generator, size: int) -> Commands:
            drawn = torch.searchsorted(cumulative, torch.rand(size, dtype=torch.double, generator=generator))
            return inputs[drawn], targets[drawn]

        return sample

    @property
    def patterns(self) -> tuple[str, ...]:
        """The names of the commands' patterns, in the order of the table; empty if the commands have no patterns."""
        return tuple(name for name in dict.fromkeys(table_of(self).patterns) if name)

    def commands(self, generator: torch.Generator, subset: Subset = "all", *, pattern: str | None = None) -> Commands:
        """Return all commands of a subset, each once.

        Args:
            generator: draws the split; if it is seeded as that of :meth:`for_seed`, the split is the same.
            subset: see the top of this file.
            pattern: return only the commands with this pattern, or with one of this group of patterns.

        Raises:
            ValueError: there is no such command.
        """
        table = table_of(self)
        rows = self._subset(generator, subset)
        if pattern is not None:
            rows = rows[table.has_pattern(pattern)[rows]]
            if not len(rows):
                raise ValueError(f"no command with pattern {pattern!r} is in subset {subset!r}")
        return table.inputs[rows], table.targets[rows]

    def by_pattern(
        self, generator: torch.Generator, subset: Subset = "all", *, grouped: bool = False
    ) -> dict[str, Commands]:
        """Return the subset's commands by pattern, or by group of patterns; only patterns that the subset has."""
        table = table_of(self)
        rows_of_patterns: dict[str, list[int]] = {}
        for row in self._subset(generator, subset).tolist():
            name = table.patterns[row]
            rows_of_patterns.setdefault(group(name) if grouped else name, []).append(row)
        return {name: (table.inputs[rows], table.targets[rows]) for name, rows in rows_of_patterns.items()}

    def modifications(self, generator: torch.Generator, subset: Subset = "all") -> tuple[Commands, Commands]:
        """Return all pairs of the subset's commands that differ only in the action of one binding.

        Returns:
            The commands before and after the modification, M each; an unordered pair is listed once.
        """
        inputs, targets = self.commands(generator, subset)
        first_action = self.vocabulary.action(0)
        # Groups of commands that differ at most in the action at one position.
        rows_by_rest: dict[tuple[int, ...], list[int]] = {}
        for row, tokens in enumerate(inputs.tolist()):
            for position, token in enumerate(tokens):
                if token >= first_action:
                    rest = (position, *tokens[:position], *tokens[position + 1 :])
                    rows_by_rest.setdefault(rest, []).append(row)
        pairs = [
            (one, other) for rows in rows_by_rest.values() for i, one in enumerate(rows) for other in rows[i + 1 :]
        ]
        before, after = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
        return (inputs[before], targets[before]), (inputs[after], targets[after])

    def trained_combinations(self, generator: torch.Generator) -> Tensor:
        """Return for each combination whether training may state it: bool [variables, actions].

        Every row and every column has at least one such combination.
        """
        trained = torch.ones(self.variables, self.actions, dtype=torch.bool)
        remaining = self._held_out_count()
        for pair in torch.randperm(trained.numel(), generator=generator).tolist():
            variable, action = divmod(pair, self.actions)
            if remaining and trained[variable].sum() > 1 and trained[:, action].sum() > 1:
                trained[variable, action] = False
                remaining -= 1
        return trained

    def _held_out_count(self) -> int:
        return round(self.held_out * self.variables * self.actions)

    def _subset(self, generator: torch.Generator, subset: Subset) -> Tensor:
        """Return the indices of a subset's rows."""
        table = table_of(self)
        held_out = ~self.trained_combinations(generator).flatten()
        states_held_out, asks_held_out = (table.stated & held_out).any(1), (table.asked & held_out).any(1)
        masks = {
            "train": ~states_held_out & ~table.beyond,
            "held_out": asks_held_out & ~table.beyond,
            "beyond": ~states_held_out & table.beyond,
            "held_out_beyond": asks_held_out & table.beyond,
            "all": torch.ones(len(table.stated), dtype=torch.bool),
        }
        if subset not in masks:
            raise ValueError(f"subset must be one of {', '.join(masks)}, not {subset!r}")
        rows = masks[subset].nonzero().squeeze(1)
        if not len(rows):
            raise ValueError(f"no command is in subset {subset!r} of {self}")
        return rows


@lru_cache(maxsize=32)
def table_of(task: BindingTask) -> Table:
    """Return the table of a task, cached, since it depends on the task's fields only.

    Raises:
        ValueError: it would have more than ``MOST_COMMANDS`` commands.
    """
    rows = []
    for row in task.rows():
        rows.append(row)
        if len(rows) > MOST_COMMANDS:
            raise ValueError(f"{task} has more than {MOST_COMMANDS} commands; use fewer variables or actions")
    length = max(len(row.tokens) for row in rows)
    positions = max(len(row.answers) for row in rows)

    def mask_of(combinations: list[tuple[tuple[int, int], ...]]) -> Tensor:
        mask = torch.zeros(len(rows), task.variables * task.actions, dtype=torch.bool)
        indices = [(row, v * task.actions + a) for row, pairs in enumerate(combinations) for v, a in pairs]
        mask[torch.tensor(indices, dtype=torch.long).reshape(-1, 2).unbind(1)] = True
        return mask

    return Table(
        inputs=torch.tensor([[PAD] * (length - len(row.tokens)) + list(row.tokens) for row in rows]),
        targets=torch.tensor([list(row.answers) + [END] * (positions - len(row.answers)) for row in rows]),
        stated=mask_of([row.stated for row in rows]),
        asked=mask_of([row.asked for row in rows]),
        weights=torch.tensor([row.weight for row in rows]),
        beyond=torch.tensor([row.beyond for row in rows]),
        patterns=tuple(row.pattern for row in rows),
    )
