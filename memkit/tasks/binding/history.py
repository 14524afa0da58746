"""Rebinding history: the present meaning of a variable, and its earlier ones.

    stored=1   input    X means jump X means walk recall X
               answer                                    WALK

               input    X means jump X means walk recall X before
               answer                                    JUMP

    stored=2   input    X means jump Y means turn X means walk recall X before
               answer                                                 JUMP

A command binds ``stored`` variables and rebinds them ``rebindings`` times in total, in any order; all its actions
differ. It asks for the present value of one of the variables, or for an earlier value if the variable has one.
``before`` asks for the previous version; with ``back`` 2 or 3, ``before before`` and ``before before before`` go
further back. With one variable, the version asked for is at a fixed distance from the end. With two, its position
depends on the order of the bindings, so each variable needs a history of its own.

3 variables × 5 actions, 1, 2 or 3 rebindings: 120, 360 or 720 commands with one variable (half of them about
the past), and 3240, 17,280 or 39,600 with two (of which 1080, 7200 or 18,000 are about the past).
Patterns: ``present``, and ``past/1``, ``past/2``, ``past/3`` by the number of versions back; ``past`` is the group of
the last three.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from memkit.tasks.binding.table import BindingTask, Row, group
from memkit.tasks.binding.templates import Template

ASKED = ("present", "past")


@dataclass(frozen=True, kw_only=True)
class History(BindingTask):
    """Commands that bind ``stored`` variables, rebind them ``rebindings`` (1 to 3) times and ``recall V [before ...]``.

    Attributes:
        back: the largest number of versions that a command goes back.
        asked: whether commands ask about the "present", the "past", or both.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import History
    >>> task = History()
    >>> inputs, targets = task.commands(generator(0, "split"), pattern="past")
    >>> task.vocabulary.decode(inputs[0].tolist()), task.vocabulary.decode_answer(targets[0].tolist())
    ('X means walk X means jump recall X before', 'WALK')
    """

    rebindings: int = 1
    stored: int = 1
    back: int = 1
    asked: tuple[str, ...] = ASKED

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", tuple(self.asked))
        super().__post_init__()
        if not 1 <= self.rebindings <= 3:
            raise ValueError(f"rebindings must be 1 to 3, not {self.rebindings}")
        if not 1 <= self.stored <= min(self.variables, self.actions - self.rebindings):
            raise ValueError(
                f"stored must be between 1 and the number of variables, and with the {self.rebindings} rebindings "
                f"no more than the {self.actions} actions, not {self.stored}"
            )
        if not 1 <= self.back <= self.rebindings:
            raise ValueError(f"back must be between 1 and rebindings={self.rebindings}, not {self.back}")
        if not self.asked or len(set(self.asked)) < len(self.asked) or not set(self.asked) <= set(ASKED):
            raise ValueError(f"asked must be {' or '.join(ASKED)} or both, each once, not {self.asked}")

    def rows(self) -> Iterator[Row]:
        for template in self._templates():
            yield from template.rows(self.vocabulary)

    def _templates(self) -> Iterator[Template]:
        for bound in product(range(1, self.stored + 1), repeat=self.stored + self.rebindings):
            # Only in order of first use, as the template fills its placeholders with all variables in all orders.
            if list(dict.fromkeys(bound)) != list(range(1, self.stored + 1)):
                continue
            stated = " ".join(f"v{variable} means a{number}" for number, variable in enumerate(bound, start=1))
            for variable in range(1, self.stored + 1):
                newest_first = [number for number, other in enumerate(bound, start=1) if other == variable][::-1]
                for back, number in enumerate(newest_first[: self.back + 1]):
                    pattern = f"past/{back}" if back else "present"
                    if group(pattern) in self.asked:
                        yield Template(f"{stated} recall v{variable}{' before' * back}", f"a{number}", pattern)
