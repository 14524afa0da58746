"""Memory management: bindings that are cleared, updated and protected.

    update    input    X means jump Y means walk X means turn recall X
              answer                                                 TURN

    clear     input    X means jump Y means walk clear X recall X
              answer                                            END
              input    X means jump Y means walk clear X recall Y
              answer                                            WALK

    protect   input    X means jump Y means walk protect X X means turn recall X
              answer                                                           JUMP
              input    X means jump Y means walk protect X Y means turn recall Y
              answer                                                           TURN

Two variables are bound, one of them may be managed (cleared or protected), up to ``updates`` are bound again, and
either is asked for. A variable that was cleared has no action until it is bound again. One that is protected keeps
the action it has: bindings that follow are without effect. Protection is against updates alone, so ``clear`` empties
a protected variable too. Which variable is managed, which are bound again and which one is asked for are crossed, so
that neither a binding's place nor a word of management gives an answer away without its variable.

The actions of a command all differ. 3 variables × 5 actions: 23,760 commands with up to two updates, 9360 with up to
one. Training draws ``update``, ``clear`` and ``protect`` equally often, and within them the forms of command.
Patterns, by what is so of the variable asked for (``other``: the other one was managed, and this one was not):

    update/kept  update/updated
    clear/cleared  clear/bound again  clear/protected  clear/other  clear/other updated
    protect/kept  protect/protected  protect/other  protect/other updated

A cleared variable's command asks for the combination that it had, so that it is held out where that one is.

``clear`` and ``protect`` stand behind all other words of the vocabulary, whose indices are those of other tasks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, permutations
from typing import NamedTuple

import torch

from memkit.tasks.binding.table import BindingTask, Commands, Row, Subset, group
from memkit.tasks.binding.vocabulary import MEANS, RECALL, Vocabulary

MANAGING = ("clear", "protect")


class ManagementVocabulary(Vocabulary):
    """A vocabulary with two words more, at its end."""

    @property
    def words(self) -> tuple[str, ...]:
        """Every token's word, in index order."""
        return (*super().words, *MANAGING)

    def managing(self, word: str) -> int:
        """The token of ``clear`` or ``protect``."""
        return len(super().words) + MANAGING.index(word)


class _Form(NamedTuple):
    """A form of command; a variable is 0 or 1, an action the number of the binding that states it."""

    managed: tuple[tuple[str, int], ...]
    """``clear`` or ``protect``, and which variable."""
    updated: tuple[int, ...]
    """Variables bound again, in order; binding 0 is variable 0's first, 1 is variable 1's, 2 the first of these."""
    asked: int

    @property
    def pattern(self) -> str:
        """The name of the pattern: what happened to the variable that is asked for."""
        done = {word for word, variable in self.managed if variable == self.asked}
        updated = self.asked in self.updated
        if not self.managed:
            return "update/updated" if updated else "update/kept"
        if "clear" in done:
            return "clear/bound again" if updated else "clear/protected" if "protect" in done else "clear/cleared"
        if "protect" in done:
            return "protect/protected" if updated else "protect/kept"
        return f"{self.managed[-1][0]}/{'other updated' if updated else 'other'}"

    @property
    def binding(self) -> int:
        """The binding that the answer is made of, or, of a cleared variable, was to be made of."""
        if self.asked in self.updated and ("protect", self.asked) not in self.managed:
            return 2 + self.updated.index(self.asked)
        return self.asked

    @property
    def empty(self) -> bool:
        """True where the right answer is that the variable has no value."""
        return self.binding < 2 and ("clear", self.asked) in self.managed


@dataclass(frozen=True, kw_only=True)
class Management(BindingTask):
    """``V means A W means B``, ``clear`` or ``protect`` one, up to ``updates`` (1 or 2) bindings more, ``recall V``."""

    updates: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.updates <= min(2, self.actions - 2):
            raise ValueError(f"updates must be 1 or 2, and two fewer than the actions, not {self.updates}")

    @property
    def vocabulary(self) -> ManagementVocabulary:
        return ManagementVocabulary(self.variables, self.actions)

    def modifications(self, generator: torch.Generator, subset: Subset = "all") -> tuple[Commands, Commands]:
        """All pairs of the subset's commands that differ in the action of one binding, and in nothing else."""
        before, after = super().modifications(generator, subset)
        # The words that come after the actions are not actions: `clear X` and `protect X` are no such pair.
        alike = ((before[0] == after[0]) | (before[0] < self.vocabulary.managing("clear"))).all(1)
        return (before[0][alike], before[1][alike]), (after[0][alike], after[1][alike])

    def rows(self) -> Iterator[Row]:
        forms = list(self._forms())
        groups = [group(form.pattern) for form in forms]
        for form in forms:
            # This many commands share the form's part of its group's draws.
            count = math.perm(self.variables, 2) * math.perm(self.actions, 2 + len(form.updated))
            weight = 1 / (count * groups.count(group(form.pattern)))
            for variables in permutations(range(self.variables), 2):
                for actions in permutations(range(self.actions), 2 + len(form.updated)):
                    yield self._row(form, variables, actions, weight)

    def _row(self, form: _Form, variables: tuple[int, ...], actions: tuple[int, ...], weight: float) -> Row:
        words = self.vocabulary
        bound = [variables[letter] for letter in (0, 1, *form.updated)]
        stated = [(words.variable(v), MEANS, words.action(a)) for v, a in zip(bound, actions, strict=True)]
        managed = [(words.managing(word), words.variable(variables[letter])) for word, letter in form.managed]
        asked = (RECALL, words.variable(variables[form.asked]))
        action = actions[form.binding]
        return Row(
            tokens=tuple(chain(*stated[:2], *managed, *stated[2:], asked)),
            answers=() if form.empty else (words.acted(action),),
            binds=tuple(zip(bound, actions, strict=True)),
            asks=((variables[form.asked], action),),
            weight=weight,
            pattern=form.pattern,
        )

    def _forms(self) -> Iterator[_Form]:
        again = [updated for count in range(self.updates + 1) for updated in permutations((0, 1), count)]
        one = [((word, variable),) for word in ("clear", "protect") for variable in (0, 1)]
        both = [(("protect", one), ("clear", other)) for one in (0, 1) for other in (0, 1)]
        for asked in (0, 1):
            for updated in again:
                for managed in ((), *one):
                    yield _Form(managed, updated, asked)
            for managed in both:
                yield _Form(managed, (), asked)
