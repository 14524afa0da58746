"""Templates: commands with placeholders for variables and actions, filled in with all words of a vocabulary.

    command   v1 means a1 v2 means a2 do v2 then v1
    answer                            a2      a1

Different placeholders stand for different words. So with 3 variables and 5 actions, a template with two variables and
two actions yields 3·2 × 5·4 = 120 commands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from memkit.tasks.binding.table import Row
from memkit.tasks.binding.vocabulary import KEYWORDS, Vocabulary


@dataclass(frozen=True)
class Template:
    """The words of a command and of its answer, where v1, v2, ... stand for variables and a1, a2, ... for actions."""

    command: str
    answer: str
    pattern: str = ""

    def placeholders(self, kind: str) -> list[str]:
        """Return the placeholders of variables (``kind`` "v") or of actions ("a"), in order."""
        return sorted({word for word in self.command.split() if word[0] == kind and word[1:].isdigit()})

    def count(self, words: Vocabulary) -> int:
        """Return the number of commands that the template yields."""
        assignments = math.perm(words.variables, len(self.placeholders("v")))
        return assignments * math.perm(words.actions, len(self.placeholders("a")))

    def rows(self, words: Vocabulary, *, weight: float = 1.0, beyond: bool = False) -> Iterator[Row]:
        """Yield all commands, ordered by their variables, then by their actions."""
        command, answer = self.command.split(), self.answer.split()
        variables, actions = self.placeholders("v"), self.placeholders("a")
        bindings = [(name, command[i + 2]) for i, name in enumerate(command) if command[i + 1 : i + 2] == ["means"]]
        tokens = {word: token for token, word in enumerate(KEYWORDS)}
        for variable_indices in permutations(range(words.variables), len(variables)):
            for action_indices in permutations(range(words.actions), len(actions)):
                index = dict(zip(variables + actions, variable_indices + action_indices, strict=True))
                tokens.update((name, words.variable(index[name])) for name in variables)
                tokens.update((name, words.action(index[name])) for name in actions)
                yield Row(
                    tokens=tuple(tokens[word] for word in command),
                    answers=tuple(words.action_answer(index[name]) for name in answer),
                    stated=tuple((index[name], index[action]) for name, action in bindings),
                    asked=tuple((index[name], index[action]) for name, action in bindings if action in answer),
                    weight=weight,
                    beyond=beyond,
                    pattern=self.pattern,
                )
