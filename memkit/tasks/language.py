"""Language: predict each character of a text, which is read context by context.

    inputs    [N, L]   are objects of the| class that the|      N contexts of L characters, consecutive in the corpus
    targets   [N, L]   re objects of the |class that the |      the same, one character later

A network with a memory reads the contexts as one stream; information passes from one context to the next only through
the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from memkit.errors import MemkitError
from memkit.tasks import corpus
from memkit.tasks.corpus import Characters, Part, Stretch


@dataclass(frozen=True, kw_only=True)
class Language:
    """The task of predicting the characters of a corpus.

    Attributes:
        corpus: the name of a corpus, see :mod:`memkit.tasks.corpus`.
        contexts: the number of consecutive contexts in an example.
        length: the number of characters per context.
    """

    corpus: str = "topics"
    contexts: int = 2
    length: int = 64

    def __post_init__(self) -> None:
        for name in ("contexts", "length"):
            if getattr(self, name) < 1:
                raise MemkitError(f"Language: {name}={getattr(self, name)} must be at least 1")

    @property
    def characters(self) -> Characters:
        """The vocabulary of the corpus's characters."""
        return corpus.characters(self.corpus)

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that every model of the task takes."""
        return {"tokens": len(self.characters.names), "block": self.length}

    @property
    def checksum(self) -> str:
        """The checksum of the corpus."""
        return corpus.checksum(self.corpus)

    @property
    def missing(self) -> str:
        """One sentence on how to get the corpus if it is not on this machine, else ""."""
        return corpus.missing(self.corpus)

    def stretch(self, part: Part) -> Stretch:
        """Return a part of the corpus as tokens."""
        return corpus.stretch(self.corpus, part, self.characters)

    def for_seed(self, generator: torch.Generator) -> Callable[[torch.Generator, int], tuple[Tensor, Tensor]]:
        """Return the sampler of a seed's training examples; all seeds are trained on the same part of the corpus."""
        stretch = self.stretch("train")

        def draw(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
            """Return inputs and targets, each [size, contexts, length]."""
            tokens = stretch.windows(generator, self.contexts * self.length + 1, size)
            inputs, targets = (part.view(size, self.contexts, self.length) for part in (tokens[:, :-1], tokens[:, 1:]))
            return inputs, targets

        return draw
