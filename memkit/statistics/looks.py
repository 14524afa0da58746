"""The numbers of seeds after which the rule is applied: how many seeds to train before looking at the verdict again.

The verdict of a bounded claim does not depend on its looks, because its capital may be looked at after every seed.
Student's t may not: a claim that assumes normality is judged at ``LOOKS``, each of which spends part of its level.
"""

from __future__ import annotations

from dataclasses import dataclass

from memkit.statistics.argument_checks import count, probability

LEAST_SEEDS = 6
"""The least number of seeds with which anything is decided."""
SEEDS_PER_LOOK = 4
"""How many seeds are trained between looks, unless a claim declares another number."""


@dataclass(frozen=True)
class Look:
    """A look of Student's t: a number of seeds, and the error probability that is spent there.

    >>> Look(n=8, alpha=0.0099) in LOOKS
    True

    Attributes:
        n: the number of seeds; a look always uses the first n.
        alpha: two-sided error probability that Student's t spends at this look.
    """

    n: int
    alpha: float

    def __post_init__(self) -> None:
        count(self.n, name="n")
        probability(self.alpha, name="alpha")


LOOKS: tuple[Look, ...] = (Look(8, 0.0099), Look(16, 0.0198), Look(32, 0.0297))
"""The looks of Student's t. Their levels keep its error probability at about 5 % over all three."""


def look_sizes(most: int, *, every: int = SEEDS_PER_LOOK) -> tuple[int, ...]:
    """Return the numbers of seeds at which a bounded claim is looked at, in order; the last one is ``most``.

    >>> look_sizes(22), look_sizes(9, every=1), look_sizes(4)
    ((8, 12, 16, 20, 22), (6, 7, 8, 9), (4,))

    Args:
        most: the number of seeds that are planned.
        every: how many seeds are trained between looks.

    Raises:
        MemkitError: a number is not a positive whole number.
    """
    most, every = count(most, name="most"), count(every, name="every")
    first = every * -(-LEAST_SEEDS // every)
    return (*range(first, most, every), most)
