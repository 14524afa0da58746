"""The capital that a verdict needs."""

from __future__ import annotations

from dataclasses import dataclass

from memkit.statistics.argument_checks import count, probability

ALPHA = 0.05
"""The two-sided error probability of a claim at its first attempt."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The capital at which a contrast is decided.

    Each new attempt at a claim doubles every threshold, so that the error probabilities of all attempts together add up
    to at most twice that of the first.

    >>> thresholds = Thresholds(contrasts=3, attempt=2)
    >>> thresholds.support, thresholds.refute, thresholds.equivalence
    (80.0, 240.0, 40.0)

    Attributes:
        alpha: the two-sided error probability at the first attempt.
        attempt: the number of the attempt, from 1.
        contrasts: how many contrasts the claim has; any one of them can refute it.

    Raises:
        MemkitError: a field is out of its range.
    """

    alpha: float = ALPHA
    attempt: int = 1
    contrasts: int = 1

    def __post_init__(self) -> None:
        probability(self.alpha, name="alpha")
        count(self.attempt, name="attempt")
        count(self.contrasts, name="contrasts")

    @property
    def support(self) -> float:
        """The capital against the margin that makes a contrast SUPPORTED: 40 at α = 0.05."""
        return 2 / self.alpha * 2.0 ** (self.attempt - 1)

    @property
    def refute(self) -> float:
        """The capital of the mirror image that makes a contrast REFUTED: ``support`` times the number of contrasts."""
        return self.support * self.contrasts

    @property
    def equivalence(self) -> float:
        """The capital on either side that makes a contrast EQUIVALENT: half of ``support``."""
        return self.support / 2
