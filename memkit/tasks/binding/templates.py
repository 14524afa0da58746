"""Commands with letters in the places of variables and actions, filled in with all that a vocabulary has.

    command   v1 means a1 v2 means a2 do v2 then v1
    answer                            a2      a1

Different letters stand for different words, so a template with two variables and two actions makes
3·2 × 5·4 = 120 commands of 3 variables × 5 actions.
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
    """A command's words and its answer's, where v1 v2 ... are variables and a1 a2 ... actions."""

    command: str
    answer: str
    pattern: str = ""

    def letters(self, kind: str) -> list[str]:
        """The variables' letters (``kind`` is v) or the actions' (a), in order."""
        return sorted({word for word in self.command.split() if word[0] == kind and word[1:].isdigit()})

    def count(self, words: Vocabulary) -> int:
        """Return the number of commands that the template makes."""
        chosen = math.perm(words.variables, len(self.letters("v")))
        return chosen * math.perm(words.actions, len(self.letters("a")))

    def rows(self, words: Vocabulary, *, weight: float = 1.0, beyond: bool = False) -> Iterator[Row]:
        """The commands, by variables, then by actions."""
        command, answer = self.command.split(), self.answer.split()
        variables, actions = self.letters("v"), self.letters("a")
        binds = [(name, command[at + 2]) for at, name in enumerate(command) if command[at + 1 : at + 2] == ["means"]]
        tokens = {word: token for token, word in enumerate(KEYWORDS)}
        for chosen in permutations(range(words.variables), len(variables)):
            for meant in permutations(range(words.actions), len(actions)):
                index = dict(zip(variables + actions, chosen + meant, strict=True))
                tokens.update((name, words.variable(index[name])) for name in variables)
                tokens.update((name, words.action(index[name])) for name in actions)
                yield Row(
                    tokens=tuple(tokens[word] for word in command),
                    answers=tuple(words.acted(index[name]) for name in answer),
                    binds=tuple((index[name], index[action]) for name, action in binds),
                    asks=tuple((index[name], index[action]) for name, action in binds if action in answer),
                    weight=weight,
                    beyond=beyond,
                    pattern=self.pattern,
                )
