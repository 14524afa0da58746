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

Two variables are bound, one of them may be managed (cleared or protected), up to ``updates`` bindings follow, and one
of the variables is asked for. A cleared variable has no action until it is bound again. A protected variable keeps its
action: later bindings have no effect. Protection prevents only updates: ``clear`` also empties a protected
variable. The variable that is managed, those that are bound again and the one that is asked for are crossed, so that
neither the position of a binding nor the word ``clear`` or ``protect`` determines the answer without its variable.

The actions of a command all differ. 3 variables × 5 actions: 23,760 commands with up to two updates, 9360 with at most
one. Training draws ``update``, ``clear`` and ``protect`` equally often, and the forms of command within each
equally often.
Patterns, by what happened to the variable asked for (``other``: only the other variable was managed):

    update/kept  update/updated
    clear/cleared  clear/bound again  clear/protected  clear/other  clear/other updated
    protect/kept  protect/protected  protect/other  protect/other updated

A command that asks for a cleared variable counts as asking for the combination that the variable had, so it is held
out if that combination is.

``clear`` and ``protect`` come after all other words of the vocabulary, so that the other words have the same indices as
in other tasks.
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
    """A vocabulary with two more words at its end: ``clear`` and ``protect``."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all tokens, in the order of the indices."""
        return (*super().words, *MANAGING)

    def managing(self, word: str) -> int:
        """Return the token of ``clear`` or ``protect``."""
        return len(super().words) + MANAGING.index(word)


class _Form(NamedTuple):
    """A form of command, in which the variables are numbered 0 and 1.

    Bindings are numbered as well: 0 and 1 are the first bindings of the two variables, 2 and 3 the updates.

    Attributes:
        managed: pairs of ``clear`` or ``protect`` and a variable, in the order of the command.
        updated: the variables that are bound again, in the order of the command.
        asked: the variable that is asked for.
    """

    managed: tuple[tuple[str, int], ...]
    updated: tuple[int, ...]
    asked: int

    @property
    def pattern(self) -> str:
        """The name of the pattern: what happened to the variable that is asked for."""
        words = {word for word, variable in self.managed if variable == self.asked}
        is_updated = self.asked in self.updated
        if not self.managed:
            return "update/updated" if is_updated else "update/kept"
        if "clear" in words:
            return "clear/bound again" if is_updated else "clear/protected" if "protect" in words else "clear/cleared"
        if "protect" in words:
            return "protect/protected" if is_updated else "protect/kept"
        return f"{self.managed[-1][0]}/{'other updated' if is_updated else 'other'}"

    @property
    def binding(self) -> int:
        """The number of the binding that determines the answer, or would do so if it had not been cleared."""
        if self.asked in self.updated and ("protect", self.asked) not in self.managed:
            return 2 + self.updated.index(self.asked)
        return self.asked

    @property
    def is_empty(self) -> bool:
        """True if the right answer is that the variable has no value."""
        return self.binding < 2 and ("clear", self.asked) in self.managed


@dataclass(frozen=True, kw_only=True)
class Management(BindingTask):
    """Commands that bind two variables, manage up to one, rebind up to ``updates`` (1 or 2) times and ``recall V``."""

    updates: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.updates <= min(2, self.actions - 2):
            raise ValueError(f"updates must be 1 or 2, and at most two fewer than the actions, not {self.updates}")

    @property
    def vocabulary(self) -> ManagementVocabulary:
        return ManagementVocabulary(self.variables, self.actions)

    def modifications(self, generator: torch.Generator, subset: Subset = "all") -> tuple[Commands, Commands]:
        """Return all pairs of the subset's commands that differ only in the action of one binding."""
        before, after = super().modifications(generator, subset)
        # The tokens after the actions are `clear` and `protect`; commands that differ in these are not such a pair.
        differs_in_action = ((before[0] == after[0]) | (before[0] < self.vocabulary.managing("clear"))).all(1)
        return (
            (before[0][differs_in_action], before[1][differs_in_action]),
            (after[0][differs_in_action], after[1][differs_in_action]),
        )

    def rows(self) -> Iterator[Row]:
        forms = list(self._forms())
        groups = [group(form.pattern) for form in forms]
        for form in forms:
            # The draws of a group are shared equally among its forms, and those of a form among its commands.
            count = math.perm(self.variables, 2) * math.perm(self.actions, 2 + len(form.updated))
            weight = 1 / (count * groups.count(group(form.pattern)))
            for variables in permutations(range(self.variables), 2):
                for actions in permutations(range(self.actions), 2 + len(form.updated)):
                    yield self._row(form, variables, actions, weight)

    def _row(self, form: _Form, variables: tuple[int, ...], actions: tuple[int, ...], weight: float) -> Row:
        words = self.vocabulary
        bound = [variables[number] for number in (0, 1, *form.updated)]
        bindings = [(words.variable(v), MEANS, words.action(a)) for v, a in zip(bound, actions, strict=True)]
        managed = [(words.managing(word), words.variable(variables[number])) for word, number in form.managed]
        question = (RECALL, words.variable(variables[form.asked]))
        action = actions[form.binding]
        return Row(
            tokens=tuple(chain(*bindings[:2], *managed, *bindings[2:], question)),
            answers=() if form.is_empty else (words.action_answer(action),),
            stated=tuple(zip(bound, actions, strict=True)),
            asked=((variables[form.asked], action),),
            weight=weight,
            pattern=form.pattern,
        )

    def _forms(self) -> Iterator[_Form]:
        updates = [updated for count in range(self.updates + 1) for updated in permutations((0, 1), count)]
        with_one_word = [((word, variable),) for word in ("clear", "protect") for variable in (0, 1)]
        with_both_words = [(("protect", one), ("clear", other)) for one in (0, 1) for other in (0, 1)]
        for asked in (0, 1):
            for updated in updates:
                for managed in ((), *with_one_word):
                    yield _Form(managed, updated, asked)
            for managed in with_both_words:
                yield _Form(managed, (), asked)
