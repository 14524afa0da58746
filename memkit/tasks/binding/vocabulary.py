"""Words in, answers out: the two index spaces that all binding tasks share.

Tokens     0 PAD | 1..13 keywords | variables X Y Z ... | actions walk jump turn ...
Answers    0 END | actions WALK JUMP TURN ... | variables X Y Z ... (what recognition asks for)

PAD is a token and END an answer, and no action has index 0 in either space. (The published code had
PAD = WALK = 0 in one space, so that padding was scored as an action.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from memkit.training.protocols import IGNORED

PAD, MEANS, IS, DO, RECALL, WHAT, TWICE, THRICE, THEN, AND, OR, NOW, BEFORE = range(13)
KEYWORDS = (
    "<pad>", "means", "is", "do", "recall", "what", "twice", "thrice", "then", "and", "or", "now", "before",
)  # fmt: skip
END = 0

VARIABLES = ("X", "Y", "Z", "U", "V", "W", "S", "T")
ACTIONS = ("walk", "jump", "turn", "look", "run", "swim", "climb", "crawl", "dance", "skip", "roll", "fly")


@dataclass(frozen=True)
class Vocabulary:
    """The first ``variables`` (2 to 8) variables and the first ``actions`` (2 to 12) action words."""

    variables: int = 3
    actions: int = 5

    def __post_init__(self) -> None:
        for field, most in (("variables", len(VARIABLES)), ("actions", len(ACTIONS))):
            if not 2 <= getattr(self, field) <= most:
                raise ValueError(f"{field} must be between 2 and {most}, not {getattr(self, field)}")

    @property
    def words(self) -> tuple[str, ...]:
        """Every token's word, in index order."""
        return (*KEYWORDS, *VARIABLES[: self.variables], *ACTIONS[: self.actions])

    @property
    def answers(self) -> tuple[str, ...]:
        """Every answer's name, in index order."""
        actions = (action.upper() for action in ACTIONS[: self.actions])
        return ("END", *actions, *VARIABLES[: self.variables])

    def variable(self, index: int) -> int:
        """The token of a variable."""
        return len(KEYWORDS) + index

    def action(self, index: int) -> int:
        """The token of an action."""
        return len(KEYWORDS) + self.variables + index

    def acted(self, index: int) -> int:
        """The answer that carries out an action."""
        return END + 1 + index

    def named(self, index: int) -> int:
        """The answer that names a variable."""
        return END + 1 + self.actions + index

    def encode(self, command: str) -> list[int]:
        """``"X is jump recall X"`` as tokens; ValueError for a word that is not in the vocabulary."""
        words = {word: token for token, word in enumerate(self.words)}
        unknown = [word for word in command.split() if word not in words]
        if unknown:
            raise ValueError(f"not in the vocabulary: {', '.join(unknown)}; known: {' '.join(self.words)}")
        return [words[word] for word in command.split()]

    def decode(self, tokens: Iterable[int]) -> str:
        """Tokens as a command, padding left out."""
        words = self.words
        return " ".join(words[token] for token in tokens if token != PAD)

    def decode_answer(self, targets: Iterable[int]) -> str:
        """Answers as words: ``JUMP JUMP END``."""
        answers = self.answers
        return " ".join(answers[target] for target in targets if target != IGNORED)
