"""Settings of growth are checked, and events take equal shares of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit import MemkitError
from memkit.models.growth import Growth

WIDTHS = (8, 6, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "epoch"}, "schedule='epoch' is unknown; did you mean 'epochs'"),
        ({"how": "random"}, "how='random' is unknown; known: fresh, preserving"),
        ({"start": ()}, r"start=\(\) must name the initial widths of the hidden layers, as in \(64, 32\)"),
        ({"start": 4}, "start=4 must name the initial widths"),
        ({"start": (4, 0)}, "must name the initial widths"),
        ({"events": 0}, "events=0 must be a positive whole number"),
        ({"patience": 1.5}, "patience=1.5 must be a positive whole number"),
        ({"every": 0}, "every=0 must be a positive number"),
        ({"noise": -1}, "noise=-1 must be a number, 0 or more"),
        ({"target": 90}, "target=90 must lie between 0 and 1"),
        ({"evry": 2}, "Growth has no setting 'evry'; did you mean 'every'"),
        (
            {"start": (9, 6)},
            r"from start=\(9, 6\) to widths=\(8, 6, 6\) the network would shrink; start must be",
        ),
        ({"start": (4, 4, 4, 4)}, "the network would shrink"),
        ({"start": WIDTHS}, "nothing grows; start must be smaller"),
        ({"start": (4,)}, "a new layer copies the one below it, so both must have the same final width"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Growth.of({"start": (4, 3), **changes}, WIDTHS)


def test_start_is_required() -> None:
    with pytest.raises(MemkitError, match="start is missing"):
        Growth.of({}, WIDTHS)


def test_settings_survive_json() -> None:
    made = Growth.of({"start": [4, 3], "how": "fresh"}, WIDTHS)
    assert made.to_json() == {"start": [4, 3], "how": "fresh"}
    assert Growth.of(made.to_json(), WIDTHS) == made


def test_events_take_equal_shares() -> None:
    growth = Growth(start=(64, 32), events=3)
    assert [growth.widths_after(n, (256, 128, 128)) for n in range(4)] == [
        (64, 32),
        (128, 64),
        (192, 96, 96),
        (256, 128, 128),
    ]
    assert Growth(start=(5,), events=4).widths_after(9, (6,)) == (6,), "growth stops at the final size"


@given(
    start=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    more=st.lists(st.integers(0, 20), min_size=3, max_size=3),
    layers=st.integers(0, 3),
    events=st.integers(1, 6),
)
def test_widths_go_from_start_to_end_and_never_decrease(
    start: list[int], more: list[int], layers: int, events: int
) -> None:
    end = [n + m for n, m in zip(start, more, strict=False)]
    end += [end[-1]] * layers
    growth = Growth(start=tuple(start), events=events)
    sizes = [growth.widths_after(n, end) for n in range(events + 1)]
    assert sizes[0] == tuple(start)
    assert sizes[-1] == tuple(end)
    for before, after in pairwise(sizes):
        assert len(before) <= len(after)
        assert all(n <= m for n, m in zip(before, after, strict=False))
        assert len(set(after[len(start) - 1 :])) == 1, "added layers are as wide as the one they copy"
