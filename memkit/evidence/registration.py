"""Registrations: what the lock says of a claim, and the claim's seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from memkit.evidence.attempt import Attempt, Outcome, attempt_from, outcome_from
from memkit.statistics import ALPHA, Thresholds

DEVELOPMENT_SEEDS = range(0, 10_000)
"""The seeds for development, which decide nothing."""
STUDY_STRIDE = 10_000
"""The number of deciding seeds that are reserved for each study."""
LABORATORY_STRIDE = 10_000_000
"""The distance between the seeds of one laboratory and the next; the project's own seeds come before all of them."""
MOST_LABORATORIES = 99
BLOCK = 100
"""The number of seeds in a block; an attempt has one block."""

Status = Literal["registered", "reworded", "changed", "unregistered"]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """The registration of a claim according to the lock, and the seeds that follow from it.

    Attributes:
        status: "registered"; "changed": what is tested was edited since the registration; "reworded": only annotations,
            such as the statement, were edited since; or "unregistered".
        attempt: the number of the present attempt; 0 if the claim is not registered.
        first_seed: the first of the claim's seeds, which are ``first_seed``, ``first_seed + 1``, …
        revision: how many times the code behind the claim was registered again since that attempt.
        recoded: whether that code differs from what was registered.
        edited: for a claim that is reworded, the fields that were edited, as in "statement, source".
        withheld: whether the claim has development seeds because it was changed, not because the run asked for them.
        alpha: the two-sided error probability at the first attempt, as the project had set it at the registration.
        earlier: the attempts before the present one, the oldest first.
        recorded: the outcome of the present attempt, if the code behind the claim has changed since it was recorded;
            otherwise None. The changed code can confirm or withhold it, but cannot improve it.
        same_values: whether this run's values are those of the recorded outcome, although the code has changed.
        laboratory: the laboratory that makes the run, on seeds of its own; "" for the project itself.

    >>> from memkit.evidence import Registration
    >>> registration = Registration(status="registered", attempt=1, first_seed=10_000)
    >>> registration.seeds(3), registration.development
    ((10000, 10001, 10002), False)
    """

    status: Status
    attempt: int
    first_seed: int
    revision: int = 0
    recoded: bool = False
    edited: str = ""
    withheld: bool = False
    alpha: float = ALPHA
    earlier: tuple[Attempt, ...] = ()
    recorded: Outcome | None = None
    same_values: bool = False
    laboratory: str = ""

    @property
    def thresholds(self) -> Thresholds:
        """The capital that each verdict needs; a claim that is not registered is at its first attempt."""
        return Thresholds(alpha=self.alpha, attempt=max(1, self.attempt))

    @property
    def development(self) -> bool:
        """True if the seeds are development seeds, which decide nothing."""
        return self.first_seed in DEVELOPMENT_SEEDS

    @property
    def explores(self) -> bool:
        """True if the run asked for development seeds; it need not agree with what was registered then."""
        return self.development and not self.withheld

    def seeds(self, n: int) -> tuple[int, ...]:
        """Return the first ``n`` seeds, in order."""
        return tuple(range(self.first_seed, self.first_seed + n))

    def to_json(self) -> dict[str, Any]:
        """Return plain types; fields of a first attempt with unchanged code that are empty are left out."""
        data: dict[str, Any] = {**vars(self), "earlier": [attempt.to_json() for attempt in self.earlier]}
        data["recorded"] = None if self.recorded is None else self.recorded.to_json()
        optional = ("earlier", "recorded", "same_values", "laboratory")
        return {name: value for name, value in data.items() if name not in optional or value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Registration:
        """Read what :meth:`to_json` wrote.

        Raises:
            MemkitError: an earlier attempt or the recorded outcome is damaged.
        """
        earlier = tuple(attempt_from(attempt, "registration: earlier") for attempt in data.get("earlier", ()))
        recorded = data.get("recorded")
        outcome = None if recorded is None else outcome_from(recorded, "registration: recorded")
        return cls(**{**data, "earlier": earlier, "recorded": outcome})
