"""An interpreter of the command language, slow and simple: the reference for every task's answers.

V means A, V is A     gives V a new version, A
do                    precedes variables
V [twice|thrice ...]  carries out V's latest version, repeated by the product of the modifiers
then, and             separate what is carried out
or V [...]            skips the alternative
recall V [before ...] answers with V's latest version, or one version earlier for each ``before``
what is V             answers with V itself
"""

from __future__ import annotations

import math
from collections import defaultdict

from memkit.tasks.binding.vocabulary import VARIABLES

TIMES = {"twice": 2, "thrice": 3}


def interpret(command: str) -> tuple[list[str], set[tuple[str, str]], set[tuple[str, str]]]:
    """Return the words of the answer, and the (variable, action) pairs that the command states and that it asks for."""
    words = command.split()
    versions: dict[str, list[str]] = defaultdict(list)
    answer: list[str] = []
    stated: set[tuple[str, str]] = set()
    asked: set[tuple[str, str]] = set()
    position = 0

    def take_while(known: set[str]) -> list[str]:
        """Consume the following words as long as they are known, and return them."""
        nonlocal position
        start = position
        while position < len(words) and words[position] in known:
            position += 1
        return words[start:position]

    def carry_out(variable: str, action: str, times: int) -> None:
        asked.add((variable, action))
        answer.extend([action.upper()] * times)

    while position < len(words):
        word = words[position]
        position += 1
        if word in VARIABLES and words[position : position + 1] in (["means"], ["is"]):
            versions[word].append(words[position + 1])
            stated.add((word, words[position + 1]))
            position += 2
        elif word in VARIABLES:
            carry_out(word, versions[word][-1], math.prod(TIMES[modifier] for modifier in take_while(set(TIMES))))
        elif word == "or":
            position += 1
            take_while(set(TIMES))
        elif word == "recall":
            variable = words[position]
            position += 1
            carry_out(variable, versions[variable][-1 - len(take_while({"before"}))], 1)
        elif word == "what":
            variable = words[position + 1]
            position += 2
            asked.add((variable, versions[variable][-1]))
            answer.append(variable)
        else:
            assert word in ("do", "then", "and"), f"{word!r} in {command!r}"
    return answer, stated, asked
