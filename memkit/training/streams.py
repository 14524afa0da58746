"""Independent random streams, derived from a seed and a name.

Every kind of random choice in a run (initialisation, data, split, noise) has a generator of its own, so that two
arms differ only in what their contrast names: an arm that draws more noise still sees the same data.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, *names: str) -> int:
    """Return the 63-bit seed of the stream ``names`` of ``seed``; it is the same on every machine."""
    text = "/".join((str(seed), *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str) -> torch.Generator:
    """Return a new CPU generator for the stream ``names`` of ``seed``.

    >>> import torch
    >>> from memkit import generator
    >>> torch.randint(10, (5,), generator=generator(3, "data")).tolist()
    [5, 2, 6, 5, 6]
    >>> torch.randint(10, (5,), generator=generator(3, "noise")).tolist()  # another stream, other numbers
    [6, 6, 5, 3, 5]
    """
    import torch

    return torch.Generator().manual_seed(stream_seed(seed, *names))
