"""Attempts at a claim and their outcomes, as the lock records them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from memkit.errors import MemkitError, count_of, short_repr
from memkit.evidence import strict_json
from memkit.evidence.verdict import Verdict

Check = Callable[[Any, str], Any]


class NewerError(MemkitError):
    """An error for a lock that holds something that this memkit does not know, or does not apply."""


def known(value: Any, what: str, checks: Mapping[str, Check], *needed: str) -> dict[str, Any]:
    """Return an object after checking its fields; a field that is not known is refused.

    Raises:
        NewerError: a field is not known; rewriting the lock would lose it.
        MemkitError: as :func:`memkit.evidence.strict_json.fields`.
    """
    result = strict_json.fields(value, what, checks, *needed)
    if unknown := [name for name in result if name not in checks]:
        raise NewerError(f"{what} has the unknown field {short_repr(unknown[0])}")
    return result


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The recorded result of an attempt.

    Attributes:
        verdict: the verdict that was accepted.
        n: the number of seeds that the verdict rests on.
        e_value: the e-value of the registered expectation at n; None if it is not known, or if the claim has none.
        date: when the run was made, ISO 8601; "" if it is not known.
        observations: a hash of the observations that the verdict rests on; "" if it is not known.
        revision: the revision of the code behind the claim; None in outcomes that were recorded before memkit knew it.

    >>> from memkit.evidence.attempt import Outcome
    >>> str(Outcome(verdict="REFUTED", n=8, date="2025-07-29T12:00:00+00:00"))
    'REFUTED, n = 8, 2025-07-29'
    """

    verdict: str
    n: int = 0
    e_value: float | None = None
    date: str = ""
    observations: str = ""
    revision: int | None = None

    def __str__(self) -> str:
        e_value = "" if self.e_value is None else f"e = {self.e_value:.3g}"
        return ", ".join(filter(None, (self.verdict, f"n = {self.n}", e_value, self.date.partition("T")[0])))

    @property
    def decides(self) -> bool:
        """True if the verdict is a decision on the claim."""
        return self.verdict in (Verdict.SUPPORTED, Verdict.REFUTED, Verdict.EQUIVALENT)

    def agrees(self, other: Outcome) -> bool:
        """Return whether both have the same verdict, number of seeds and observations, as far as they are known."""
        same_observations = self.observations == other.observations or not self.observations or not other.observations
        return (self.verdict, self.n) == (other.verdict, other.n) and same_observations

    def to_json(self) -> dict[str, Any]:
        """Return plain types; empty fields are left out."""
        fields = {**vars(self), "verdict": str(self.verdict), "n": self.n or None, "date": self.date or None}
        fields["observations"] = self.observations or None
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One form of a claim, on seeds of its own, and its outcome.

    Attributes:
        block: the number of its block of seeds, from 0; None if it was not recorded.
        outcome: the outcome that was accepted last; None if none was.
        replaced: outcomes that were accepted earlier and then replaced, the oldest first.
        laboratories: name → the outcome of the laboratory's run, on seeds of its own.
        unmeasured: whether every seed that ran failed, so that the attempt left no measurement; it is not counted then.
        of: the id of the claim whose attempt it was, if it was that of another claim with the same arms, metric and
            test; "" otherwise.

    >>> from memkit.evidence.attempt import Attempt, Outcome
    >>> str(Attempt(block=0)), str(Attempt(block=0, outcome=Outcome(verdict="REFUTED", n=8)))
    ('not recorded', 'REFUTED, n = 8')
    """

    block: int | None
    outcome: Outcome | None = None
    replaced: tuple[Outcome, ...] = ()
    laboratories: Mapping[str, Outcome] = field(default_factory=dict)
    unmeasured: bool = False
    of: str = ""

    def __str__(self) -> str:
        text = "no seed was measured" if self.unmeasured else str(self.outcome or "not recorded")
        text += f", as {self.of}" if self.of else ""
        return text + (f" ({count_of(len(self.replaced), 'earlier outcome')} replaced)" if self.replaced else "")

    def to_json(self) -> dict[str, Any]:
        """Return plain types; empty fields are left out, except for the block."""
        others = {
            "replaced": [outcome.to_json() for outcome in self.replaced],
            "laboratories": {name: self.laboratories[name].to_json() for name in sorted(self.laboratories)},
            "unmeasured": self.unmeasured,
            "of": self.of,
        }
        outcome = self.outcome.to_json() if self.outcome else {}
        return {"block": self.block, **outcome, **{name: value for name, value in others.items() if value}}


def _verdict(value: Any, what: str) -> str:
    if strict_json.text(value, what) not in set(Verdict):
        raise MemkitError(f"{what}: {short_repr(value)} is not a verdict")
    return str(value)


def _amount(value: Any, what: str) -> float:
    if (amount := strict_json.number(value, what)) < 0:
        raise MemkitError(f"{what} must be a number of at least 0, not {short_repr(value)}")
    return amount


def _revision(value: Any, what: str) -> int | None:
    return None if value is None else strict_json.whole(value, what)


_OUTCOME: Mapping[str, Check] = {
    "verdict": _verdict,
    "n": strict_json.whole,
    "e_value": lambda value, what: None if value is None else _amount(value, what),
    "date": strict_json.text,
    "observations": strict_json.text,
    "revision": _revision,
}


def outcome_from(value: Any, what: str) -> Outcome:
    """Read the outcome that :meth:`Outcome.to_json` wrote.

    Raises:
        MemkitError: the outcome is damaged.
    """
    return Outcome(**known(value, what, _OUTCOME, "verdict"))


_ATTEMPT: Mapping[str, Check] = {
    **_OUTCOME,
    "block": lambda value, what: strict_json.optional(value, what, strict_json.whole),
    "replaced": strict_json.listed,
    "laboratories": strict_json.mapping,
    "unmeasured": strict_json.flag,
    "of": strict_json.text,
}


def attempt_from(value: Any, what: str) -> Attempt:
    """Read the attempt that :meth:`Attempt.to_json` wrote.

    Raises:
        NewerError: the attempt holds something that this memkit does not know.
        MemkitError: the attempt is damaged.
    """
    data = dict(known(value, what, _ATTEMPT, "block"))  # a copy, because fields are taken out of it
    outcome = {name: data.pop(name) for name in _OUTCOME if name in data}
    replaced = data.pop("replaced", [])
    laboratories = data.pop("laboratories", {})
    return Attempt(
        **data,
        outcome=outcome_from(outcome, what) if outcome else None,
        replaced=tuple(outcome_from(each, f"{what}: replaced") for each in replaced),
        laboratories={name: outcome_from(each, f"{what}: {name:.80}") for name, each in laboratories.items()},
    )
