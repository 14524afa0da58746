"""Registration: what the lock says of a claim, and the seeds that this gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DEVELOPMENT_SEEDS = range(0, 10_000)
STUDY_STRIDE = 10_000
BLOCK = 100

Status = Literal["registered", "reworded", "changed", "unregistered"]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The registration of a claim according to the lock, and the seeds that it gives the claim.

    Attributes:
        status: "registered"; "reworded": what is tested is as it was registered, but not what is said of it; "changed",
            what is tested was edited since; or "unregistered".
        attempt: how many times the claim was registered in a form of its own; 0 if never.
        revision: how many times the code behind it was registered anew since that attempt.
        recoded: whether that code differs from what was registered.
        first_seed: the seeds are ``first_seed``, ``first_seed + 1``, …
        edited: of a claim that is reworded: the fields that were edited, as in "statement, source".
        withheld: whether it has development seeds because it was changed, and not because the run asked for them.
    """

    status: Status
    attempt: int
    first_seed: int
    revision: int = 0
    recoded: bool = False
    edited: str = ""
    withheld: bool = False

    @property
    def development(self) -> bool:
        """Return whether the seeds are development seeds, which decide nothing."""
        return self.first_seed in DEVELOPMENT_SEEDS

    @property
    def explores(self) -> bool:
        """Return whether the run asked for development seeds; it is then not held to what was registered."""
        return self.development and not self.withheld

    def seeds(self, n: int) -> tuple[int, ...]:
        """Return the first ``n`` seeds, in the order of the looks."""
        return tuple(range(self.first_seed, self.first_seed + n))
