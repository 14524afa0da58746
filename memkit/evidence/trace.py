"""Traces of earlier runs: facts that the store has on a claim's present attempt, and the lock has not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The facts that the runs of a claim's present attempt have left in the store.

    Attributes:
        measured: whether a run has measured a deciding seed.
        failed_only: whether runs were made, and every seed that ran failed for a reason other than its values.
        needs_attempt: whether the code behind the claim has changed, so that the claim needs a new attempt: its values
            have changed, and no verdict was reached before.

    >>> Trace(measured=True).failed_only
    False
    """

    measured: bool = False
    failed_only: bool = False
    needs_attempt: bool = False


NO_TRACE = Trace()
