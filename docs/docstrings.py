"""Docstrings for the site: what ``help()`` shows as it stands is put into words that mkdocstrings knows.

Roles, :class:`memkit.Recipe`, become links; an entry for several names, ``low, high: …``, becomes an entry for each.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`(?P<short>~)?(?P<name>[\w.]+)`")
# An entry of a section, "    low, high: ...", and the lines that go on deeper than it.
_SHARED = re.compile(r"^(?P<indent> +)(?P<names>\w+(?:, \w+)+):(?P<text>.*(?:\n(?P=indent) +\S.*)*)$", re.MULTILINE)


class ForTheSite(griffe.Extension):
    """Rewrites every docstring that is read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe with each module, class, function and attribute."""
        if obj.docstring is not None:
            text = _SHARED.sub(_each, obj.docstring.value)
            obj.docstring.value = _ROLE.sub(lambda role: _link(role, obj), text)


def _each(entry: re.Match[str]) -> str:
    return "\n".join(f"{entry['indent']}{name}:{entry['text']}" for name in entry["names"].split(", "))


def _link(role: re.Match[str], obj: griffe.Object) -> str:
    name = role["name"]
    text = name.rsplit(".", 1)[-1] if role["short"] else name
    try:
        path = obj.resolve(name)
    except griffe.NameResolutionError:
        path = name
    return f"[`{text}`][{path}]"
