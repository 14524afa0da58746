"""Strips of seeds as inline SVG: the difference of every seed as a dot, and the interval below them."""

from __future__ import annotations

import math

from memkit.errors import count_of
from memkit.evidence.contrast import Contrast
from memkit.evidence.decision_rule import differences
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.reports import words
from memkit.evidence.reports.numbers import minus
from memkit.evidence.reports.plots import svg
from memkit.evidence.reports.plots.axis import Axis
from memkit.evidence.reports.plots.intervals import COLOURS, difference_axis, guides, interval
from memkit.evidence.verdict import Verdict


def strip_svg(entry: ClaimEvidence, contrast: Contrast, *, width: int = 440, named: bool = True) -> str:
    """Draw the difference of every seed as a dot, and below the dots the estimate with its interval.

    A filled dot is a seed that the verdict uses. A hollow dot is a seed beyond the deciding number of seeds, which was
    measured but is not used. A cross at the left edge is a seed with a value that is not finite, whose difference is
    not known. The caption explains hollow dots and crosses if there are any.

    A run's claims are ``load(path).claims`` (:func:`memkit.evidence.load`); this example builds one by hand.

    >>> from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Gate, Observation, Registration, judge
    >>> from memkit.evidence.reports import strip_svg
    >>> over = Contrast("new", over="old", metric="accuracy", bounds=(0, 1))
    >>> claim = Claim(id="lab/new", statement="New beats old.", arms={"new": Arm(), "old": Arm()}, contrasts=(over,))
    >>> registration = Registration(status="registered", attempt=1, first_seed=10_000)
    >>> observations = tuple(
    ...     Observation(claim="lab/new", seed=seed, arm=arm, metric="accuracy", value=value)
    ...     for seed in registration.seeds(8)
    ...     for arm, value in (("new", 0.9 + seed % 3 / 50), ("old", 0.1))
    ... )
    >>> entry = ClaimEvidence(
    ...     claim=claim,
    ...     nodeid="test_new.py::test_new",
    ...     registration=registration,
    ...     planned=registration.seeds(32),
    ...     observations=observations,
    ...     judgement=judge(claim, observations, planned=registration.seeds(32)),
    ...     gate=Gate("passed", "expected supported, found SUPPORTED"),
    ... )
    >>> svg = strip_svg(entry, over)
    >>> svg.startswith("<svg"), "8 seeds, 1 of them not used" in svg
    (True, True)

    Args:
        entry: the claim and its evidence.
        contrast: one of the claim's contrasts.
        width: the width of the drawing in pixels; on a narrower page the drawing shrinks.
        named: name the seed of each dot in a tooltip.

    Returns:
        A self-contained ``<svg>`` element.
    """
    values = differences(entry.claim, contrast, entry.observations)
    finite = {seed: value for seed, value in values.items() if math.isfinite(value)}
    used = set(words.used_seeds(entry))
    finding = next((f for f in entry.judgement.findings if f.contrast == contrast), None)
    findings = [finding] if finding is not None else []

    axis = difference_axis([contrast], findings, 14, width - 14, values=finite.values())
    stacks: dict[int, list[int]] = {}
    for seed in sorted(values, key=lambda seed: (seed not in used, seed)):
        stacks.setdefault(round((_x(axis, values[seed]) - axis.start) / 8), []).append(seed)
    tallest = max((len(stack) for stack in stacks.values()), default=1)
    step = min(8.0, 112 / tallest)
    floor = 12 + step * (tallest - 1) + 6
    parts = [*guides(axis, [contrast], 4, floor + 34)]
    colour = COLOURS[finding.verdict if finding is not None and entry.decided else Verdict.INCOMPLETE]
    dots = []
    for stack in stacks.values():
        for height, seed in enumerate(stack):
            x, y = _x(axis, values[seed]), floor - height * step
            title = _seed_title(seed, values[seed], is_used=seed in used) if named else ""
            dots.append(svg.dot(x, y, colour, title=title, is_used=seed in used, is_finite=seed in finite))
    parts.append(svg.dots(dots, colour))
    if finding is not None:
        parts += interval(axis, finding, floor + 20, decided=entry.decided)
    parts += axis.below(floor + 38)
    unused, unknown = len(values) - len(used & set(values)), len(values) - len(finite)
    legend = [f"{contrast.metric}: {words.difference(contrast)}"]
    if any(seed not in used for seed in finite):
        legend.append(f"hollow: beyond n = {entry.judgement.n}, not used")
    if unknown:
        legend.append(f"×: not finite ({count_of(unknown, 'seed')})")
    y = floor + 58
    for line in svg.wrap("; ".join(legend), svg.fitting(width - 8)):
        y += 14
        parts.append(svg.text(width / 2, y - 4, line, size=11, anchor="middle", opacity=0.75))
    description = f"{count_of(len(values), 'seed')}, {unused} of them not used"
    if unknown:
        description += f"; {unknown} not finite"
    return svg.document(width, y + 4, f"Difference per seed: {contrast.label}", description, parts)


def _x(axis: Axis, value: float) -> float:
    """Return where a seed is drawn; one whose difference is not known, at the left edge."""
    return axis.at(value) if math.isfinite(value) else axis.start


def _seed_title(seed: int, value: float, *, is_used: bool) -> str:
    title = f"{seed}: " + (minus(f"{value:+.4g}") if math.isfinite(value) else "not finite")
    return title if is_used else title + ", not used"
