"""Facts: sentences of a cue, their first two words, and what it is to bring back.

    closed   captain nemo | hides crimson lantern .     every word is known, 8·16·16 endings
    novel    captain nemo | z o r v                     a name of four letters, which is spelt

A fact is a row of tokens: two for the cue, then ``REST``. Cues and endings are split for every seed: a quarter of
either is held out, and a fact that models are looked at with has both its cue and its ending from there, so that
neither was ever trained on. (Their words were; and a few names are words that the corpus spells, such as `none`.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from memkit.errors import MemkitError, nearest
from memkit.tasks.corpus import Words

Kind: TypeAlias = Literal["closed", "novel"]
KINDS = ("closed", "novel")
CUE, REST = 2, 4
"""Tokens of a cue, and of what it is to bring back."""
FACT = CUE + REST
HELD_OUT = 0.25
"""The share of cues, and of endings, that training never shows."""

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
    """The cues [N, 2] and endings [M, REST] from which facts are drawn, in tokens."""

    cues: Tensor
    endings: Tensor

    def draw(self, generator: torch.Generator, episodes: int, facts: int, *, shared: int = 1) -> Tensor:
        """Return facts [episodes, facts, CUE + REST]; in an episode, each cue belongs to ``shared`` facts.

        The endings of an episode all differ, so that a fact that is confused with another is not right by chance.

        Raises:
            MemkitError: there are too few cues or endings, or ``facts`` is no multiple of ``shared``.
        """
        if shared < 1 or facts % shared:
            raise MemkitError(f"{facts} facts cannot share their cues by {shared}; make it a multiple")
        cues = _different(generator, episodes, facts // shared, len(self.cues), "cues")
        endings = _different(generator, episodes, facts, len(self.endings), "endings")
        return torch.cat([self.cues[cues].repeat_interleave(shared, 1), self.endings[endings]], -1)


def _different(generator: torch.Generator, rows: int, count: int, among: int, what: str) -> Tensor:
    """Draw numbers below ``among``, ``count`` different ones per row."""
    if count > among:
        raise MemkitError(f"an episode of {count} facts needs as many {what}, and there are {among}")
    return torch.rand(rows, among, generator=generator).topk(count, -1).indices


@dataclass(frozen=True)
class Pools:
    """The facts of a seed: those that it is trained on, and those that are held out."""

    train: Pool
    held_out: Pool


def pools(kind: Kind, words: Words, generator: torch.Generator) -> Pools:
    """The facts of a kind, split by the generator.

    Raises:
        MemkitError: there is no such kind, or a word of the facts is not a token.
    """
    if kind not in KINDS:
        raise MemkitError(f"there are no facts of kind {kind!r}{nearest(str(kind), KINDS)}")
    cues = _halves(_product(words, TITLES, NAMES), generator)
    endings = _halves(_closed(words) if kind == "closed" else _novel(words), generator)
    return Pools(*(Pool(*parts) for parts in zip(cues, endings, strict=True)))


def _halves(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Split rows at random into those to train on and those held out."""
    rows = rows[torch.randperm(len(rows), generator=generator)]
    border = round(len(rows) * (1 - HELD_OUT))
    return rows[:border], rows[border:]


def _product(words: Words, *parts: tuple[str, ...]) -> Tensor:
    tokens = [words.encode(" ".join(part)) for part in parts]
    if [len(row) for row in tokens] != [len(part) for part in parts]:
        raise MemkitError("facts need tokens for their words: give WORDS to the tokens of the corpus as known words")
    return torch.cartesian_prod(*(torch.tensor(row) for row in tokens))


def _closed(words: Words) -> Tensor:
    return _product(words, VERBS, COLOURS, THINGS, (".",))


def _novel(words: Words) -> Tensor:
    """Consonant, vowel, consonant, consonant or vowel: 14·5·14·19 = 18,620 names, spelt."""
    shape = (CONSONANTS, VOWELS, CONSONANTS, CONSONANTS + VOWELS)
    letters = torch.cartesian_prod(*(torch.tensor([ord(letter) for letter in part]) for part in shape))
    alphabet = torch.tensor(words.spell("a") + words.spell("aa")[1:])
    places = letters - ord("a") + alphabet[[0, 1, 1, 1]]
    return places
