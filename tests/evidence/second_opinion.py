"""Recompute the verdicts of an evidence file without memkit, from the documentation.

``python tests/evidence/second_opinion.py reports/evidence.json`` prints the claims on which it disagrees with the file.
An author who had not seen memkit's code wrote the first version. The phrases in quotation marks are those of
docs/verdicts.md and docs/claims.md; a test checks that they are.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, takewhile
from typing import Any

import numpy as np

LEAST = 6  # "the first n ≥ 6 at which the rule decides"
LEVELS = {8: 0.0099, 16: 0.0198, 32: 0.0297}  # "the looks after 8, 16 and 32 seeds, whose two-sided levels …"
J = 64  # the sum over j ≥ 0 ends here; the rest has a weight of 2^−64, and its bets are almost 0
BETS, SHARES = 0.7 ** np.arange(J), 0.5 ** np.arange(1, J + 1)
SUPPORT, EQUIVALENCE = 2, 1  # thresholds in units of 1/α; "the mirror image at the margin reaches 2k/α" for REFUTED
NODES, WEIGHTS = np.polynomial.legendre.leggauss(100)


@dataclass
class Series:
    """The least and the greatest difference of every seed, with what is asked of them; they lie in [L, U]."""

    low: np.ndarray
    high: np.ndarray
    L: float
    U: float
    margin: float
    sesoi: float | None
    normal: bool
    alpha: float  # "At attempt a, every threshold is multiplied by 2^(a−1)": α is divided by it

    def capital(self, n: int, side: int, margin: float) -> float:
        """Bet on a mean above the margin (side 1), "2^−(j+1) ∏ᵢ (1 + 0.7^j zᵢ)", or on its mirror image (side −1)."""
        x, bottom, margin = (self.low, self.L, margin) if side > 0 else (-self.high, -self.U, -margin)
        if margin <= bottom:
            return math.inf if (x[:n] > margin).any() else 0.0
        z = np.maximum((x[:n] - margin) / (margin - bottom), -1)  # "a factor … is not negative", also after rounding
        with np.errstate(divide="ignore", over="ignore"):
            return float(SHARES @ np.exp(np.log1p(np.outer(BETS, z)).sum(axis=1)))

    def limit(self, n: int, side: int, units: float) -> float:
        """Find "the margin at which the capital would be 40", or Student's limit."""
        if self.normal:
            x = (self.low if side > 0 else self.high)[:n]
            if n < 2 or not np.isfinite(x).all():
                return -side * math.inf
            level = LEVELS.get(n, 0.05) * self.alpha / 0.05
            return float(x.mean() - side * quantile(level / units, n - 1) * x.std(ddof=1) / n**0.5)
        inner, outer = (self.U, self.L) if side > 0 else (self.L, self.U)  # "Every factor decreases in m"
        for _ in range(100):
            middle = (inner + outer) / 2
            is_excluded = self.capital(n, side, middle) >= units / self.alpha
            inner, outer = (inner, middle) if is_excluded else (middle, outer)
        return outer  # "a limit that no candidate reaches is the bound"

    def reaches(self, n: int, side: int, margin: float, units: float) -> bool:
        """Tell whether the mean is shown to be beyond the margin, at a threshold of units/α."""
        if self.normal:
            if n not in LEVELS:
                return False
            varies = all(np.ptp(x[:n]) > 1e-12 * np.abs(x[:n]).max() for x in (self.low, self.high))
            return varies and side * (self.limit(n, side, units) - margin) > 0
        return n >= LEAST and self.capital(n, side, margin) >= units / self.alpha

    def is_equivalent(self, n: int) -> bool:
        """Tell whether "the capital at −sesoi and the mirror image at +sesoi both reach 1/α"."""
        if self.sesoi is None or (self.normal and n < 16):  # "and at least 16 seeds"
            return False
        by_bounds = {1: -self.sesoi <= self.L, -1: self.sesoi >= self.U}  # "holds by the bounds"
        sides = [s for s in (1, -1) if self.normal or not by_bounds[s]]
        return n >= LEAST and all(self.reaches(n, s, -s * self.sesoi, EQUIVALENCE) for s in sides)

    def verdict(self, n: int, k: int) -> str:
        """Give the verdict on the contrast: "The first condition that holds"."""
        if self.reaches(n, 1, self.margin, SUPPORT):
            return "SUPPORTED"
        if self.reaches(n, -1, self.margin, SUPPORT * k):
            return "REFUTED"
        return "EQUIVALENT" if self.is_equivalent(n) else "INCONCLUSIVE"

    def limits(self, n: int, k: int) -> tuple[float, float]:
        """Give the limits: "for a contrast that is EQUIVALENT, both are 20", otherwise 40 and 40 · k."""
        units = (EQUIVALENCE,) * 2 if self.verdict(n, k) == "EQUIVALENT" else (SUPPORT, SUPPORT * k)
        return self.limit(n, 1, units[0]), self.limit(n, -1, units[1])


@cache
def quantile(tail: float, freedom: int) -> float:
    """Find the t beyond which Student's t lies with this probability; with t = √freedom · tan(angle), the density
    is proportional to cos^(freedom − 1) of the angle."""

    def area(start: float) -> float:
        half = (math.pi / 2 - start) / 2
        return float(half * WEIGHTS @ np.cos(start + half * (NODES + 1)) ** (freedom - 1))

    low, high = -math.pi / 2, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if area(middle) > tail * area(-math.pi / 2) else (low, middle)
    return freedom**0.5 * math.tan(low)


@dataclass
class Case:
    """A claim with the differences of its seeds."""

    contrasts: list[Series]
    requires: list[Series]
    control: list[Series]
    is_mutant: bool

    def looks(self, last: int) -> list[int]:
        """List the n at which it is judged: all, or "only at the looks" if anything assumes normality."""
        normal = any(s.normal for s in (*self.contrasts, *self.requires, *self.control))
        return [n for n in range(LEAST, last + 1) if not normal or n in LEVELS]

    def has_preconditions(self, n: int) -> bool:
        """Tell whether the preconditions are SUPPORTED; they "need a capital of 2/α, whatever k is"."""
        return all(s.reaches(n, 1, s.margin, SUPPORT) for s in self.requires)

    def has_control(self, n: int) -> bool:
        """Test the positive control "at a margin of the largest sesoi, or at its own margin if that is larger"."""
        largest = max(s.sesoi or 0 for s in self.contrasts)
        return all(s.reaches(n, 1, max(largest, s.margin), SUPPORT) for s in self.control)

    def decision(self, n: int) -> str:
        """Give the verdict at n; "" if the rule does not decide there."""
        k, contrasts = len(self.contrasts), self.contrasts
        if not self.has_preconditions(n):
            return ""
        found = {s.verdict(n, k) for s in contrasts}
        if found == {"SUPPORTED"}:  # "A claim is SUPPORTED if all its contrasts are"
            return "SUPPORTED"
        if "REFUTED" in found:  # "and otherwise REFUTED if one of them is"
            return "REFUTED"
        if all(s.is_equivalent(n) for s in contrasts) and self.has_control(n):
            return "EQUIVALENT"  # "if all of them satisfy the condition …, whether or not they are also SUPPORTED"
        relevant = [(s, s.margin + (s.sesoi or 0.1)) for s in contrasts if self.is_mutant]
        is_short = any(not m >= s.U and s.reaches(n, -1, m, SUPPORT * k) for s, m in relevant)
        return "INCONCLUSIVE" if is_short else ""  # "the mirror image at the margin plus sesoi … reaches 2k/α"

    def is_futile(self, have: int, last: int) -> bool:
        """Predict whether "the chance that further seeds decide the claim is less than 5 %"."""
        groups = self.contrasts, self.requires, self.control
        if have < 16 or any(s.normal and np.ptp(s.low) < 1e-12 for s in chain(*groups)):  # "From 16 seeds on"
            return False
        drawn = np.random.RandomState(0).randint(have, size=(100, last - have))
        decided = 0
        for order in np.hstack([np.tile(np.arange(have), (100, 1)), drawn]):
            resampled = ([replace(s, low=s.low[order], high=s.high[order]) for s in group] for group in groups)
            case = Case(*resampled, self.is_mutant)
            decided += any(case.decision(n) for n in self.looks(last) if n > have)
        return decided < 5


def prepare(record: dict[str, Any]) -> tuple[Case, list[list[Any]]]:
    """Return the case, and for each seed, "in numerical order, without gaps", its compared values with their bounds."""
    claim, rows = record["claim"], {}
    for seed, arm, metric, value, _ in record["observations"]:
        rows.setdefault(seed, {})[arm, metric] = value
    values = [rows[seed] for seed in takewhile(rows.__contains__, record["planned"])]
    alpha = record["registration"].get("alpha", 0.05) / 2 ** max(0, record["registration"]["attempt"] - 1)

    def series(contrast: dict[str, Any]) -> Series:
        least, greatest = bounds = contrast["bounds"] or (math.nan, math.nan)

        def of(arm: str | float, unknown: float) -> np.ndarray:
            if not isinstance(arm, str):  # "The control may be a number"
                return np.full(len(values), float(arm))
            x = [unknown if (y := v[arm, contrast["metric"]]) is None else y for v in values]
            return np.clip(x, *bounds) if contrast["clip"] else np.array(x, float)

        plus, minus = (contrast["treatment"], contrast["over"])[:: 1 if contrast["direction"] == "higher" else -1]
        ends = [(least, greatest) if isinstance(arm, str) else (arm, arm) for arm in (plus, minus)]
        # "Each bet assumes the value that is worst for it"
        low, high = of(plus, least) - of(minus, greatest), of(plus, greatest) - of(minus, least)
        options = contrast["margin"], contrast["sesoi"], contrast["assume"] == "normal", alpha
        return Series(low, high, ends[0][0] - ends[1][1], ends[0][1] - ends[1][0], *options)

    groups = claim["contrasts"], claim["requires"], [claim["positive_control"]] if claim["positive_control"] else []
    arms = [(x[side], x) for x in chain(*groups) for side in ("treatment", "over") if isinstance(x[side], str)]
    compared = [[(v[arm, x["metric"]], x["bounds"]) for arm, x in arms] for v in values]
    return Case(*(list(map(series, group)) for group in groups), bool(claim["mutant_of"])), compared


def verdict(record: dict[str, Any], case: Case, compared: list[list[Any]]) -> tuple[str, int]:
    """Give the verdict of a claim, and the number of seeds that it uses."""
    have, claim, first = len(compared), record["claim"], compared[0] if compared else []
    is_same = have >= LEAST and all(row == first for row in compared) and all(x is not None for x, _ in first)
    if is_same and not claim["deterministic"] and any(x not in (bounds or ()) for x, bounds in first):
        return "INCOMPLETE", have  # "the compared values are the same on all observed seeds"
    # "A mutant that diverges before it is decided is INCOMPLETE, and so is a claim without bounds."
    unusable = [any(x is None and (case.is_mutant or not bounds) for x, bounds in row) for row in compared]
    usable = [*unusable, True].index(True)
    found, n = next(((v, n) for n in case.looks(usable) if (v := case.decision(n))), ("", have))
    is_decided = bool(found)
    last = max(case.looks(len(record["planned"])), default=len(record["planned"]))
    may_stop = claim["expect"] != "not_supported"  # "Claims that are expected not to be supported are exempt"
    if not found and usable == have and (have >= last or (may_stop and case.is_futile(have, last))):
        found = "INCONCLUSIVE" if case.has_preconditions(have) else "INCOMPLETE"
    if found and record["registration"]["first_seed"] < 10_000:  # "development seeds decide nothing"
        found = "INCOMPLETE" if found == "INCOMPLETE" else "INCONCLUSIVE"
    return confirmed(record, found or "INCOMPLETE", case.is_mutant and is_decided and found != "SUPPORTED"), n


def confirmed(record: dict[str, Any], found: str, fails_clearly: bool) -> str:
    """Withhold a verdict of changed code: it "can confirm or withhold a verdict, but cannot improve one"."""
    registration, is_mutant = record["registration"], bool(record["claim"]["mutant_of"])
    if "recorded" not in registration or registration.get("same_values") or found == "INCOMPLETE":
        return found
    before = registration["recorded"]["verdict"]
    if before == "INCOMPLETE" or (before == "INCONCLUSIVE" and not is_mutant):
        return "INCOMPLETE"  # "the claim is INCOMPLETE, and `memkit register` moves it to fresh seeds"
    is_same = fails_clearly if is_mutant else found == before
    return found if is_same else "INCONCLUSIVE"  # "the claim is INCONCLUSIVE, «not reproduced by this code»"


def disagreements(evidence: dict[str, Any]) -> list[str]:
    """List the claims whose verdict, number of seeds or limits differ from what the file says."""
    found = []
    for record in evidence["claims"]:
        case, compared = prepare(record)
        said, (name, n) = record["judgement"], verdict(record, case, compared)
        if (said["verdict"], said["n"]) != (name, n):
            found.append(f"{record['claim']['id']}: {name} at n = {n}; the file says {said['verdict']} at {said['n']}")
            continue
        # One with unknown values, but without bounds, has no limits.
        known = [s for s in case.contrasts if n and np.isfinite(s.low[:n]).all()]
        findings = [f for f in said["findings"] if f["role"] == "contrast" and f["verdict"] != "INCOMPLETE"]
        limits = [s.limits(n, len(case.contrasts)) for s in known]
        ends = [(f["interval"]["low"], f["interval"]["high"]) for f in findings]
        recorded = [(-math.inf if a is None else a, math.inf if b is None else b) for a, b in ends]
        if len(known) != len(findings) or not np.allclose(limits, recorded, rtol=1e-6, atol=1e-6):
            found.append(f"{record['claim']['id']}: limits {limits}; the file says {recorded}")
    return found


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        FOUND = disagreements(json.load(file))
    print("\n".join(FOUND) or "The second opinion agrees on every claim.")
    sys.exit(bool(FOUND))
