"""JSON that is changed at one place: what a store may hold that verifies and was never written by memkit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

OTHER = st.recursive(
    st.sampled_from([None, True, "", "nan", "inf", float("nan"), float("inf"), -1, 0, 1.5, 1e308, 2**53, 10**400])
    | st.integers()
    | st.floats()
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, whole: Any) -> Any:
    """``whole``, but for a value that is another or gone, or a name that is another."""
    wrapped = {"": copy.deepcopy(whole)}
    container, at = draw(st.sampled_from(list(_places(wrapped))))
    act = draw(st.sampled_from(["replace", "remove", "rename"])) if container is not wrapped else "replace"
    if act == "replace":
        container[at] = draw(OTHER)
    else:
        value = container.pop(at)
        if act == "rename" and isinstance(container, dict):
            container[draw(st.text(max_size=4))] = value
    return wrapped[""]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in it: the object or list, and the name or number there."""
    places = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for place in places:
        yield value, place
        yield from _places(value[place])
