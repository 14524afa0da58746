"""JSON with one change: content that a store may hold with a valid checksum although memkit never wrote it."""

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
    """Draw a copy of ``whole`` with one value replaced or removed, or one name replaced."""
    wrapped = {"": copy.deepcopy(whole)}
    container, key = draw(st.sampled_from(list(_places(wrapped))))
    change = draw(st.sampled_from(["replace", "remove", "rename"])) if container is not wrapped else "replace"
    if change == "replace":
        container[key] = draw(OTHER)
    else:
        value = container.pop(key)
        if change == "rename" and isinstance(container, dict):
            container[draw(st.text(max_size=4))] = value
    return wrapped[""]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a JSON value: the object or list, and the key or index in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
