"""Compositional levels: four steps, from a single binding to commands that refer back to earlier bindings.

                               input                                                        answer       commands
    L1  single                 X means jump do X                                            JUMP                8
    L2  and                    X means jump Y means walk do X and Y                         JUMP WALK          24
        then                   X means jump Y means walk do X then Y                        JUMP WALK          24
        then reversed          X means jump Y means walk do Y then X                        WALK JUMP          24
    L3  rebinding              X means jump do X then X means walk do X                     JUMP WALK          24
        twice                  X means jump do X twice                                      JUMP JUMP           8
        twice then             X means jump do X twice then Y means walk do Y               JUMP JUMP WALK     24
        rebinding across       X means jump do X then Y means walk do Y then X means turn do X
                                                                                            JUMP WALK TURN     48
    L4  back                   X means jump do X then Y means walk do Y and X               JUMP WALK JUMP     24
        and then               X means jump Y means walk do X and Y then X                  JUMP WALK JUMP     24
        or                     X means jump Y means walk do X or Y                          JUMP               24
        segments               X means jump do X then Y means walk do Y then do X and Y
                                                                                    JUMP WALK JUMP WALK        24

These are the patterns of the published code; with its 4 actions and 2 variables there are 8, 72, 104 and 96 commands,
280 in total.
Different variables of a command have different actions, and so do the successive bindings of one variable. ``then``
separates segments; bindings remain valid in later segments. A modifier repeats only the variable before it, ``and``
binds more tightly than ``then``, and ``or`` asks for the first of its two variables.

Training draws the levels equally often, and the patterns within a level equally often, as the published code did.
Patterns: ``L1/single``, ``L2/and``, ...; ``L2`` is the group of the patterns of level 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memkit.tasks.binding.table import BindingTask, Row
from memkit.tasks.binding.templates import Template

_BOTH = "v1 means a1 v2 means a2"
_EACH = "v1 means a1 do v1 then v2 means a2 do v2"
LEVELS: dict[int, tuple[Template, ...]] = {
    1: (Template("v1 means a1 do v1", "a1", "L1/single"),),
    2: (
        Template(f"{_BOTH} do v1 and v2", "a1 a2", "L2/and"),
        Template(f"{_BOTH} do v1 then v2", "a1 a2", "L2/then"),
        Template(f"{_BOTH} do v2 then v1", "a2 a1", "L2/then reversed"),
    ),
    3: (
        Template("v1 means a1 do v1 then v1 means a2 do v1", "a1 a2", "L3/rebinding"),
        Template("v1 means a1 do v1 twice", "a1 a1", "L3/twice"),
        Template("v1 means a1 do v1 twice then v2 means a2 do v2", "a1 a1 a2", "L3/twice then"),
        Template(f"{_EACH} then v1 means a3 do v1", "a1 a2 a3", "L3/rebinding across"),
    ),
    4: (
        Template(f"{_EACH} and v1", "a1 a2 a1", "L4/back"),
        Template(f"{_BOTH} do v1 and v2 then v1", "a1 a2 a1", "L4/and then"),
        Template(f"{_BOTH} do v1 or v2", "a1", "L4/or"),
        Template(f"{_EACH} then do v1 and v2", "a1 a2 a1 a2", "L4/segments"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Levels(BindingTask):
    """The commands of the given levels, 1 to 4.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Levels
    >>> task = Levels(levels=(2, 4))
    >>> inputs, targets = task.commands(generator(0, "split"), pattern="L4/segments")
    >>> task.vocabulary.decode(inputs[0].tolist())
    'X means walk do X then Y means jump do Y then do X and Y'
    >>> task.vocabulary.decode_answer(targets[0].tolist())
    'WALK JUMP WALK JUMP'
    """

    variables: int = 2
    actions: int = 4
    levels: tuple[int, ...] = (1, 2, 3, 4)

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))
        super().__post_init__()
        if not self.levels or len(set(self.levels)) < len(self.levels) or not set(self.levels) <= set(LEVELS):
            raise ValueError(f"levels must be some of 1, 2, 3, 4, each once, not {self.levels}")
        if 3 in self.levels and self.actions < 3:
            raise ValueError(f"actions must be 3 or more for level 3, not {self.actions}")

    def rows(self) -> Iterator[Row]:
        words = self.vocabulary
        for level in self.levels:
            templates = LEVELS[level]
            for template in templates:
                yield from template.rows(words, weight=1 / (len(templates) * template.count(words)))
