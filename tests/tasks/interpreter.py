"""The command language, word by word: slow and obvious, the reference for every task's answers.

V means A, V is A     V has another version, A
do                    says that variables follow
V [twice|thrice ...]  carries out V's newest version, as often as the modifiers' product
then, and             say that something follows
or V [...]            passes the alternative over
recall V [before ...] V's newest version, or one older for each ``before``
what is V             names V
"""

from __future__ import annotations

import math
from collections import defaultdict

from memkit.tasks.binding.vocabulary import VARIABLES

TIMES = {"twice": 2, "thrice": 3}


def interpret(command: str) -> tuple[list[str], set[tuple[str, str]], set[tuple[str, str]]]:
    """The answer's words, and the (variable, action) pairs that the command states and that its answer needs."""
    words = command.split()
    versions: dict[str, list[str]] = defaultdict(list)
    answer: list[str] = []
    stated: set[tuple[str, str]] = set()
    asked: set[tuple[str, str]] = set()
    at = 0

    def run_of(known: set[str]) -> list[str]:
        """The words from here on that are known, passed over."""
        nonlocal at
        start = at
        while at < len(words) and words[at] in known:
            at += 1
        return words[start:at]

    def carry_out(variable: str, action: str, times: int) -> None:
        asked.add((variable, action))
        answer.extend([action.upper()] * times)

    while at < len(words):
        word = words[at]
        at += 1
        if word in VARIABLES and words[at : at + 1] in (["means"], ["is"]):
            versions[word].append(words[at + 1])
            stated.add((word, words[at + 1]))
            at += 2
        elif word in VARIABLES:
            carry_out(word, versions[word][-1], math.prod(TIMES[modifier] for modifier in run_of(set(TIMES))))
        elif word == "or":
            at += 1
            run_of(set(TIMES))
        elif word == "recall":
            variable = words[at]
            at += 1
            carry_out(variable, versions[variable][-1 - len(run_of({"before"}))], 1)
        elif word == "what":
            variable = words[at + 1]
            at += 2
            asked.add((variable, versions[variable][-1]))
            answer.append(variable)
        else:
            assert word in ("do", "then", "and"), f"{word!r} in {command!r}"
    return answer, stated, asked
