"""The sequential looks at which a claim is judged, and the rule applied at each of them in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import count, probability


@dataclass(frozen=True)
class Look:
    """A planned look: a number of seeds at which the decision rule is applied.

    >>> Look(n=8, alpha=0.0099) in LOOKS
    True

    Attributes:
        n: the number of seeds; a look always uses the first n.
        alpha: two-sided error probability that Student's t spends at this look. The betting interval spends none,
            because it is valid at any number of looks.
    """

    n: int
    alpha: float

    def __post_init__(self) -> None:
        count(self.n, name="n")
        probability(self.alpha, name="alpha")


LOOKS: tuple[Look, ...] = (Look(8, 0.0099), Look(16, 0.0198), Look(32, 0.0297))
"""The looks of every claim. Their levels keep the error probability of the t test at about 5 % over all three."""


def looks_within(n: int) -> tuple[Look, ...]:
    """Return the looks that ``n`` seeds suffice for, in order; none if there are too few seeds for the first look.

    >>> [look.n for look in looks_within(20)]
    [8, 16]
    """
    return tuple(look for look in LOOKS if look.n <= n)


class Decisive(Protocol):
    """A decision that says whether it is final, such as :class:`memkit.statistics.Decision`."""

    @property
    def decisive(self) -> bool:
        """True if no further look is needed."""
        ...


class Sliceable(Protocol):
    """A sequence with one element per seed that can be sliced: an array (n, ...), a list, a range of seeds."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> Any: ...


R = TypeVar("R", bound=Sliceable)
D = TypeVar("D", bound=Decisive)


def replay(rows: R, decide: Callable[[R, Look], D], *, looks: Iterable[Look] = LOOKS) -> tuple[D, ...]:
    """Decide on ``rows`` at each look in turn, and stop at the first decisive one.

    >>> from memkit.statistics import decide
    >>> differences = [0.45, 0.55] * 16  # 32 seeds
    >>> decisions = replay(differences, lambda x, look: decide(x, look=look, bounds=(-1, 1)))
    >>> [(decision.look.n, decision.outcome) for decision in decisions]
    [(8, 'inconclusive'), (16, 'supported')]

    Args:
        rows: one element per seed, in the order of the seeds (not the order in which they ran), up to the first seed
            that is missing.
        decide: called with ``rows[: look.n]`` and the look; it never receives a later seed.
        looks: in increasing order of n.

    Returns:
        One decision per look that was reached; the last one is final. Empty if there are too few rows for
        the first look.

    Raises:
        MemkitError: ``looks`` are not in increasing order.
    """
    decisions: list[D] = []
    previous_n = 0
    for look in looks:
        if look.n <= previous_n:
            raise MemkitError(f"looks must be in increasing order of n; {look.n} follows {previous_n}")
        previous_n = look.n
        if look.n > len(rows):
            break
        decisions.append(decide(rows[: look.n], look))
        if decisions[-1].decisive:
            break
    return tuple(decisions)
