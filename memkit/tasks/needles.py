"""Needles in a haystack: sentences that are read once within the text of a corpus, and their cues in other text.

    shown   [N, L]   … the value of the AlphaGo beat Lee Sedol at the game of go in Seoul. object is the same as …
    asked   [N, P]   … statements may be nested in the body of AlphaGo beat                    the cue is at the end
    oracle  [N, P]   … AlphaGo beat Lee Sedol at the game of go in Seoul. in the body of AlphaGo beat

A sentence is separated from the text by a blank on either side.
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
    """Draw one context of corpus text per sentence, with the sentence at a random position: [N, length].

    Raises:
        MemkitError: a sentence does not fit into a context.
    """
    contexts = stretch.windows(generator, length, len(sentences))
    for context, sentence in zip(contexts, sentences, strict=True):
        needle = torch.tensor(characters.encode(f" {sentence} "))
        room = length - len(needle)
        if room < 0:
            raise MemkitError(
                f"{sentence!r} has more than the {length - 2} characters that fit into a context; shorten it"
            )
        start = int(torch.randint(room + 1, (), generator=generator))
        context[start : start + len(needle)] = needle
    return contexts


def asked(text: Tensor, characters: Characters, cues: Sequence[str], facts: Sequence[str] | None = None) -> Tensor:
    """Return contexts [N, P] of corpus text, each of which ends with a cue.

    Args:
        text: the corpus text, [N, P].
        facts: sentences with which the contexts begin; None: the contexts begin with corpus text.

    Raises:
        MemkitError: a cue, with its fact, does not fit into a context.
    """
    contexts = text.clone()
    for row, cue in enumerate(cues):
        end = torch.tensor(characters.encode(f" {cue}"))
        beginning = torch.tensor(characters.encode(f"{facts[row]} " if facts else ""), dtype=torch.int64)
        if len(beginning) + len(end) > text.shape[1]:
            raise MemkitError(f"{cue!r} does not fit into a context of {text.shape[1]} characters; use longer contexts")
        contexts[row, : len(beginning)] = beginning
        contexts[row, text.shape[1] - len(end) :] = end
    return contexts
