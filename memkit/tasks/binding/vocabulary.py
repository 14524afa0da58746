"""The vocabulary: the index spaces of input tokens and of answers that all binding tasks share.

Tokens     0 PAD | 1..12 keywords | variables X Y Z ... | actions walk jump turn ...
Answers    0 END | actions WALK JUMP TURN ... | variables X Y Z ... (the answers of recognition)

PAD is a token and END an answer, and no action has the index 0 in either space. (The published code had
PAD = WALK = 0 in a single space, so that padding was scored as an action.)
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
    """The words of ``variables`` (2 to 8) variables and ``actions`` (2 to 12) actions, and the keywords.

    >>> from memkit.tasks.binding import Vocabulary
    >>> words = Vocabulary(variables=2, actions=3)
    >>> words.encode("X is jump recall X")
    [13, 2, 16, 4, 13]
    >>> words.decode([0, 0, 13, 2, 16, 4, 13])  # padding is left out
    'X is jump recall X'
    >>> words.decode_answer([2, 0])
    'JUMP END'
    """

    variables: int = 3
    actions: int = 5

    def __post_init__(self) -> None:
        for field, most in (("variables", len(VARIABLES)), ("actions", len(ACTIONS))):
            if not 2 <= getattr(self, field) <= most:
                raise ValueError(f"{field} must be between 2 and {most}, not {getattr(self, field)}")

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all tokens, in the order of the indices."""
        return (*KEYWORDS, *VARIABLES[: self.variables], *ACTIONS[: self.actions])

    @property
    def answers(self) -> tuple[str, ...]:
        """The names of all answers, in the order of the indices."""
        actions = (action.upper() for action in ACTIONS[: self.actions])
        return ("END", *actions, *VARIABLES[: self.variables])

    def variable(self, index: int) -> int:
        """Return the token of a variable."""
        return len(KEYWORDS) + index

    def action(self, index: int) -> int:
        """Return the token of an action."""
        return len(KEYWORDS) + self.variables + index

    def action_answer(self, index: int) -> int:
        """Return the answer that carries out an action."""
        return END + 1 + index

    def variable_answer(self, index: int) -> int:
        """Return the answer that names a variable."""
        return END + 1 + self.actions + index

    def encode(self, command: str) -> list[int]:
        """Return the tokens of a command such as ``"X is jump recall X"``.

        Raises:
            ValueError: a word is not in the vocabulary.
        """
        tokens = {word: token for token, word in enumerate(self.words)}
        unknown = [word for word in command.split() if word not in tokens]
        if unknown:
            raise ValueError(f"not in the vocabulary: {', '.join(unknown)}; known words: {' '.join(self.words)}")
        return [tokens[word] for word in command.split()]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return tokens as a command, without padding."""
        words = self.words
        return " ".join(words[token] for token in tokens if token != PAD)

    def decode_answer(self, targets: Iterable[int]) -> str:
        """Return answers as words, such as ``JUMP JUMP END``."""
        answers = self.answers
        return " ".join(answers[target] for target in targets if target != IGNORED)
