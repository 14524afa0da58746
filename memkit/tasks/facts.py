"""Facts: sentences that consist of a cue, the first two words, and an ending that is to be recalled from the cue.

    closed   captain nemo | hides crimson lantern .     known words, 8·16·16 endings
    novel    captain nemo | z o r v                     a name of four letters, spelt letter by letter

A fact is a row of tokens: two for the cue, then ``ENDING_LENGTH`` for the ending. For every seed, a quarter of the cues
and a quarter of the endings are held out. The facts of the evaluation combine a held-out cue with a held-out ending, so
that the model was trained on neither. (It was trained on their words, and a few names are words that the corpus spells,
such as `none`.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from memkit.errors import MemkitError, suggestion
from memkit.tasks.corpus import Words

Kind: TypeAlias = Literal["closed", "novel"]
KINDS = ("closed", "novel")
CUE, ENDING_LENGTH = 2, 4
"""The numbers of tokens of a cue and of an ending."""
FACT = CUE + ENDING_LENGTH
"""The number of tokens of a fact."""
HELD_OUT = 0.25
"""The share of cues, and of endings, that do not occur in training."""

TITLES = (
    "captain",
    "doctor",
    "baker",
    "painter",
    "judge",
    "sailor",
    "miller",
    "duchess",
    "tailor",
    "hunter",
    "pilot",
    "priest",
    "farmer",
    "singer",
    "potter",
    "queen",
)
NAMES = (
    "nemo",
    "ahab",
    "emma",
    "oliver",
    "hester",
    "silas",
    "edna",
    "pip",
    "heidi",
    "ivan",
    "lena",
    "tess",
    "moll",
    "boris",
    "clara",
    "ida",
)
VERBS = ("hides", "sells", "paints", "wants", "finds", "keeps", "cleans", "carries")
COLOURS = (
    "crimson",
    "amber",
    "ivory",
    "violet",
    "scarlet",
    "golden",
    "silver",
    "purple",
    "olive",
    "copper",
    "azure",
    "russet",
    "ebony",
    "coral",
    "beige",
    "pink",
)
THINGS = (
    "lantern",
    "saddle",
    "kettle",
    "violin",
    "anchor",
    "ladder",
    "basket",
    "mirror",
    "hammer",
    "barrel",
    "candle",
    "wheel",
    "drum",
    "clock",
    "boat",
    "hat",
)
WORDS = (*TITLES, *NAMES, *VERBS, *COLOURS, *THINGS)
VOWELS, CONSONANTS = "aeiou", "bdfgklmnprstvz"


class Pool(NamedTuple):
    """The cues [N, CUE] and endings [M, ENDING_LENGTH] from which facts are drawn, as tokens."""

    cues: Tensor
    endings: Tensor

    def draw(self, generator: torch.Generator, episodes: int, facts: int, *, shared: int = 1) -> Tensor:
        """Draw facts [episodes, facts, FACT]; in an episode, each cue belongs to ``shared`` facts.

        The endings of an episode all differ, so that confusing two facts is never right by chance.

        Raises:
            MemkitError: there are too few cues or endings, or ``facts`` is not a multiple of ``shared``.
        """
        if shared < 1 or facts % shared:
            raise MemkitError(
                f"{facts} facts cannot share cues in groups of {shared}; the number of facts must be a multiple of it"
            )
        cues = _distinct(generator, episodes, facts // shared, len(self.cues), "cues")
        endings = _distinct(generator, episodes, facts, len(self.endings), "endings")
        return torch.cat([self.cues[cues].repeat_interleave(shared, 1), self.endings[endings]], -1)


def _distinct(generator: torch.Generator, rows: int, count: int, available: int, what: str) -> Tensor:
    """Draw ``count`` distinct indices below ``available`` per row: [rows, count]."""
    if count > available:
        raise MemkitError(f"an episode of {count} facts needs as many {what}, but there are only {available}")
    return torch.rand(rows, available, generator=generator).topk(count, -1).indices


@dataclass(frozen=True)
class Pools:
    """The facts of a seed: those for training, and those that are held out."""

    train: Pool
    held_out: Pool


def pools(kind: Kind, words: Words, generator: torch.Generator) -> Pools:
    """Return the facts of a kind, split by the generator.

    Raises:
        MemkitError: there is no such kind, or a word of the facts has no token.
    """
    if kind not in KINDS:
        raise MemkitError(f"there are no facts of kind {kind!r}{suggestion(str(kind), KINDS)}")
    cues = _split(_product(words, TITLES, NAMES), generator)
    endings = _split(_closed(words) if kind == "closed" else _novel(words), generator)
    return Pools(*(Pool(*parts) for parts in zip(cues, endings, strict=True)))


def _split(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split rows at random into training rows and held-out rows."""
    rows = rows[torch.randperm(len(rows), generator=generator)]
    border = round(len(rows) * (1 - HELD_OUT))
    return rows[:border], rows[border:]


def _product(words: Words, *parts: tuple[str, ...]) -> Tensor:
    """Return all combinations of one word from each part, as tokens, one combination per row."""
    tokens = [words.encode(" ".join(part)) for part in parts]
    if [len(row) for row in tokens] != [len(part) for part in parts]:
        raise MemkitError(
            "the words of the facts need tokens; pass WORDS as known words to the vocabulary of the corpus"
        )
    return torch.cartesian_prod(*(torch.tensor(row) for row in tokens))


def _closed(words: Words) -> Tensor:
    """Return all endings of known words: [8·16·16, ENDING_LENGTH]."""
    return _product(words, VERBS, COLOURS, THINGS, (".",))


def _novel(words: Words) -> Tensor:
    """Return all endings that spell a name: [18620, ENDING_LENGTH].

    A name is a consonant, a vowel, a consonant, and a consonant or vowel: 14·5·14·19 = 18,620 names.
    """
    letters_by_position = (CONSONANTS, VOWELS, CONSONANTS, CONSONANTS + VOWELS)
    letters = torch.cartesian_prod(*(torch.tensor([ord(letter) for letter in part]) for part in letters_by_position))
    first_tokens = torch.tensor(words.spell("a") + words.spell("aa")[1:])  # of "a" as the first and as a later letter
    tokens = letters - ord("a") + first_tokens[[0, 1, 1, 1]]
    return tokens
