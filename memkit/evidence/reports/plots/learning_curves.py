"""Learning curves as inline SVG: the training loss of a recipe, with one thin line per seed."""

from __future__ import annotations

from memkit.errors import count_of
from memkit.evidence.learning_curves import Curves
from memkit.evidence.reports.plots import colours, svg
from memkit.evidence.reports.plots.axis import Axis

COLOUR, BROKEN = colours.BLUE, colours.ORANGE
"""The colours of a seed, and of a seed whose last loss was not finite."""
_WIDTH, _HEIGHT, _LEFT, _TOP = 320.0, 130.0, 48.0, 8.0


def curves_svg(curves: Curves) -> str:
    """Draw one line per seed; the axis of the loss is logarithmic if the losses differ by more than a factor of 30.

    Returns:
        A self-contained ``<svg>`` element; "" if no loss is finite.
    """
    losses = [y for points in curves.seeds.values() for _, y in points if y is not None]
    if not losses:
        return ""
    steps = [step for points in curves.seeds.values() for step, _ in points]
    x = Axis.linear([0, *steps], _LEFT, _WIDTH - 12, counts=True)
    log = min(losses) > 0 and max(losses) > 30 * min(losses)
    floor = _TOP + _HEIGHT
    y = Axis.logarithmic(losses, floor, _TOP) if log else Axis.linear([0.0, *losses], floor, _TOP)
    parts = [*y.beside(_LEFT, x.end), *x.below(floor)]
    for seed, points in curves.seeds.items():
        finite = [(x.at(step), y.at(loss)) for step, loss in points if loss is not None]
        if not finite:
            continue
        is_broken = points[-1][1] is None
        path = "L".join(f"{px:.0f} {py:.1f}" for px, py in finite)
        parts.append(
            f'<path d="M{path}" fill="none" stroke="{BROKEN if is_broken else COLOUR}" stroke-width="1.2" '
            f'stroke-opacity="0.5"><title>seed {seed}{", not finite at the end" if is_broken else ""}</title></path>'
        )
    parts.append(svg.text(_LEFT, floor + 34, f"step; {'log ' if log else ''}training loss", size=11, opacity=0.75))
    description = f"{count_of(len(curves.seeds), 'seed')}, up to step {max(steps)}"
    return svg.document(_WIDTH, floor + 42, f"Learning curves: {curves.arms[0]}", description, parts)
