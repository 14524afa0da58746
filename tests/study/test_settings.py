"""Deep merges, inheritance through bases, and grids."""

from __future__ import annotations

import math
import re

from hypothesis import given
from hypothesis import strategies as st

from memkit.study.settings import expanded, merged, nested

NAMES = st.sampled_from("abcd")
SETTINGS = st.recursive(
    st.dictionaries(NAMES, st.integers(0, 3)),
    lambda children: st.dictionaries(NAMES, st.one_of(st.integers(0, 3), children)),
    max_leaves=8,
)


@given(SETTINGS)
def test_merging_with_nothing_changes_nothing(settings: dict[str, object]) -> None:
    assert merged(settings, {}) == merged({}, settings) == merged(settings, settings) == settings


@given(SETTINGS, SETTINGS)
def test_overriding_values_win_and_others_stay(base: dict[str, object], override: dict[str, object]) -> None:
    result = merged(base, override)
    assert set(result) == {*base, *override}
    for name, value in override.items():
        if not isinstance(value, dict):
            assert result[name] == value
    for name in set(base) - set(override):
        assert result[name] == base[name]
    assert merged(result, override) == result


@given(SETTINGS, SETTINGS, SETTINGS)
def test_a_chain_of_bases_is_merged_in_order(
    one: dict[str, object], two: dict[str, object], three: dict[str, object]
) -> None:
    configurations = expanded({"c": {"base": "b", **three}, "a": one, "b": {"base": "a", **two}})
    assert configurations["c"] == merged(merged(one, two), three)


@given(st.dictionaries(NAMES, st.lists(st.integers(0, 50), min_size=1, max_size=4, unique=True), min_size=1))
def test_a_grid_has_every_cell_once_with_a_valid_name(over: dict[str, list[int]]) -> None:
    configurations = expanded({"x": {"e": 1, "over": over}})
    assert len(configurations) == math.prod(map(len, over.values()))
    assert len({str(cell) for cell in configurations.values()}) == len(configurations)
    for name, cell in configurations.items():
        assert re.fullmatch("[a-z0-9][a-z0-9._-]*", name)
        assert cell["e"] == 1
        assert all(cell[factor] in values for factor, values in over.items())


def test_names_of_cells() -> None:
    configurations = expanded(
        {"slow": {"over": {"lr": [0.01, 1e-05], "task.kind": ["A b"], "widths": [[64], [128, 64]]}}}
    )
    assert list(configurations) == [
        "slow-lr-0.01-kind-a-b-widths-64",
        "slow-lr-0.01-kind-a-b-widths-128-64",
        "slow-lr-1e-05-kind-a-b-widths-64",
        "slow-lr-1e-05-kind-a-b-widths-128-64",
    ]
    assert list(expanded({"a": {"over": {"x.k": [1], "y.k": [2]}}})) == ["a-x.k-1-y.k-2"]
    assert nested("a.b.c", 1) == {"a": {"b": {"c": 1}}}


def test_a_task_of_another_type_replaces_the_old_one() -> None:
    assert merged({"task": {"type": "a:A", "n": 1}}, {"task": {"type": "b:B", "m": 2}}) == {
        "task": {"type": "b:B", "m": 2}
    }
    assert merged({"task": {"type": "a:A", "n": 1}}, {"task": {"n": 2}}) == {"task": {"type": "a:A", "n": 2}}


def test_over_is_not_inherited() -> None:
    configurations = expanded({"a": {"x": 1, "over": {"y": [1, 2]}}, "b": {"base": "a"}})
    assert configurations == {"a-y-1": {"x": 1, "y": 1}, "a-y-2": {"x": 1, "y": 2}, "b": {"x": 1}}


def test_a_factor_that_the_configuration_is_named_after_is_not_repeated() -> None:
    assert list(expanded({"k": {"over": {"memory.k": [1, 8]}}})) == ["k-1", "k-8"]
    assert list(expanded({"k": {"over": {"k": [1], "lr": [0.1]}}})) == ["k-1-lr-0.1"]
