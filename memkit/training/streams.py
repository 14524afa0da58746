"""Independent random streams, derived from a seed and a name.

Every random choice of a run draws from a generator of its own (initialisation, data, split, noise), so that
two arms differ in nothing but what their contrast names: an arm that draws more noise does not see other
data.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, *names: str) -> int:
    """A 63-bit seed for the stream ``names`` of ``seed``: the same everywhere, another for other names."""
    text = "/".join((str(seed), *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *names: str) -> torch.Generator:
    """Return a CPU generator for the stream ``names`` of ``seed``.

    >>> import torch
    >>> from memkit import generator
    >>> noise = torch.randn(3, generator=generator(10_000, "noise"))
    >>> noise.equal(torch.randn(3, generator=generator(10_000, "noise")))
    True
    """
    import torch

    return torch.Generator().manual_seed(stream_seed(seed, *names))
