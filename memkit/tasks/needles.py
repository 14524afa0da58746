"""Needles in a haystack: sentences that are read once among the text of a corpus, and their cues in other text.

    shown   [N, L]   … the value of the AlphaGo beat Lee Sedol at the game of go in Seoul. object is the same as …
    asked   [N, P]   … statements may be nested in the body of AlphaGo beat                    the cue is at the end
    oracle  [N, P]   … AlphaGo beat Lee Sedol at the game of go in Seoul. in the body of AlphaGo beat

A sentence is set apart by a blank before and after it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from memkit.errors import MemkitError
from memkit.tasks.corpus import Characters, Stretch


def shown(
    generator: torch.Generator, stretch: Stretch, characters: Characters, sentences: Sequence[str], length: int
) -> Tensor:
    """Each sentence in a context of its own, at a random place: [N, length].

    Raises:
        MemkitError: one does not fit.
    """
    contexts = stretch.windows(generator, length, len(sentences))
    for context, sentence in zip(contexts, sentences, strict=True):
        needle = torch.tensor(characters.encode(f" {sentence} "))
        room = length - len(needle)
        if room < 0:
            raise MemkitError(f"{sentence!r} has more than the {length - 2} characters that a context has room for")
        first = int(torch.randint(room + 1, (), generator=generator))
        context[first : first + len(needle)] = needle
    return contexts


def asked(text: Tensor, characters: Characters, cues: Sequence[str], facts: Sequence[str] | None = None) -> Tensor:
    """Corpus text [N, P] with a cue at the end of each context: [N, P].

    Args:
        facts: stand at the beginnings of the contexts, before other text and the cue.

    Raises:
        MemkitError: it does not fit.
    """
    contexts = text.clone()
    for row, cue in enumerate(cues):
        last = torch.tensor(characters.encode(f" {cue}"))
        first = torch.tensor(characters.encode(f"{facts[row]} " if facts else ""), dtype=torch.int64)
        if len(first) + len(last) > text.shape[1]:
            raise MemkitError(f"{cue!r} does not fit in a context of {text.shape[1]} characters")
        contexts[row, : len(first)] = first
        contexts[row, text.shape[1] - len(last) :] = last
    return contexts
