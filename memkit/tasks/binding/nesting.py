"""Nesting: modifiers of modifiers, whose counts multiply.

    input    X means jump do X twice twice          Y means turn do Y thrice twice
    answer   JUMP JUMP JUMP JUMP                    TURN TURN TURN TURN TURN TURN

A command has up to ``depth`` modifiers and repeats its action at most ``most`` times. With 3 and 8 there are seven
patterns: once (1), twice (2), thrice (3), twice twice (4), twice thrice (6), thrice twice (6), twice twice twice (8).
3 variables × 5 actions: 105 commands. A pattern is named by its count and its modifiers, such as ``4/twice twice``; so
``6`` is the group of the two patterns that repeat the action six times.

``trained`` is the largest count in training. Commands with larger counts form the subsets ``beyond``, if training
states their combination, and ``held_out_beyond``, if it does not. The answer positions after ``trained`` are then END
in all training commands, so a network that decodes each position with its own weights cannot learn any other answer
there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from memkit.tasks.binding.table import BindingTask, Row
from memkit.tasks.binding.templates import Template

_TIMES = {"twice": 2, "thrice": 3}


@dataclass(frozen=True, kw_only=True)
class Nesting(BindingTask):
    """Commands ``V means A do V`` with up to ``depth`` (1 to 4) modifiers; the answer repeats A by their product.

    Attributes:
        most: the largest count of any command.
        trained: the largest count in training; None: all counts.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Nesting
    >>> task = Nesting(trained=4)
    >>> inputs, targets = task.commands(generator(0, "split"), "beyond", pattern="6/thrice twice")
    >>> task.vocabulary.decode(inputs[0].tolist()), task.vocabulary.decode_answer(targets[0].tolist())
    ('X means walk do X thrice twice', 'WALK WALK WALK WALK WALK WALK END END')
    """

    depth: int = 3
    most: int = 8
    trained: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.depth <= 4:
            raise ValueError(f"depth must be 1 to 4, not {self.depth}")
        if self.most < 2:
            raise ValueError(f"most must be 2 or more, not {self.most}")
        if self.trained is not None and not 1 <= self.trained <= self.most:
            raise ValueError(f"trained must be between 1 and most={self.most}, or None for all, not {self.trained}")

    def rows(self) -> Iterator[Row]:
        for count, template in self._templates():
            yield from template.rows(self.vocabulary, beyond=self.trained is not None and count > self.trained)

    def _templates(self) -> Iterator[tuple[int, Template]]:
        for depth in range(self.depth + 1):
            for modifiers in product(_TIMES, repeat=depth):
                count = math.prod(_TIMES[modifier] for modifier in modifiers)
                if count <= self.most:
                    command = " ".join(["v1 means a1 do v1", *modifiers])
                    yield count, Template(command, "a1 " * count, f"{count}/{' '.join(modifiers) or 'once'}")
