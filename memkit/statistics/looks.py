"""The looks at which a claim is judged, and how they are replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from memkit.errors import MemkitError
from memkit.statistics.argument_checks import count, probability


@dataclass(frozen=True)
class Look:
    """A planned look at the data.

    Attributes:
        n: how many seeds are looked at, always the first n.
        alpha: two-sided error probability that Student's t spends here. The betting interval spends none: its
            capital may be looked at as often as one likes.
    """

    n: int
    alpha: float

    def __post_init__(self) -> None:
        count(self.n, name="n")
        probability(self.alpha, name="alpha")


LOOKS: tuple[Look, ...] = (Look(8, 0.0099), Look(16, 0.0198), Look(32, 0.0297))
"""The looks of every claim. The levels hold the t test to about 5 % over all three together."""


def looks_within(n: int) -> tuple[Look, ...]:
    """Return the looks that ``n`` seeds reach, in order; none below the first."""
    return tuple(look for look in LOOKS if look.n <= n)


class Decisive(Protocol):
    """Anything that knows whether it settles the matter, such as :class:`memkit.statistics.Decision`."""

    @property
    def decisive(self) -> bool:
        """Return whether no further look is needed."""
        ...


class Rows(Protocol):
    """Anything in the order of the seeds that can be cut short: an array, (n, ...), a list, a range of seeds."""

    def __len__(self) -> int: ...

    def __getitem__(self, cut: slice, /) -> Any: ...


R = TypeVar("R", bound=Rows)
D = TypeVar("D", bound=Decisive)


def replay(rows: R, decide: Callable[[R, Look], D], *, looks: Iterable[Look] = LOOKS) -> tuple[D, ...]:
    """Judge ``rows`` at each look in turn, and stop at the first decisive one.

    Args:
        rows: one per seed, in seed order, whatever order the seeds ran in; up to the first seed that is missing.
        decide: called with ``rows[: look.n]`` and the look; it never sees a later seed.
        looks: in rising order of n.

    Returns:
        One decision for each look that was taken. The last stands; the tuple is empty where ``rows`` reach no look.

    Raises:
        MemkitError: ``looks`` are not in rising order.
    """
    taken: list[D] = []
    last = 0
    for look in looks:
        if look.n <= last:
            raise MemkitError(f"looks must be in rising order of n; {look.n} follows {last}")
        last = look.n
        if look.n > len(rows):
            break
        taken.append(decide(rows[: look.n], look))
        if taken[-1].decisive:
            break
    return tuple(taken)
