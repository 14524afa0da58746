"""Sequencing: carry out two bound actions in the order told, or the first alone.

    then       input    X means jump Y means walk do Y then X
               answer                                WALK   JUMP

    and        input    X means jump Y means walk do Y and X
               answer                                WALK  JUMP

    or         input    X means jump Y means walk do Y or X
               answer                                WALK (END)

    segments   input    X means jump do X then Y means walk do Y
               answer                JUMP                   WALK

``then`` and ``and`` ask for the same; ``or`` asks for the first of the two, always. Each is asked for in the
order stated (``in order``) and against it (``reversed``): who repeats the actions as they come is right half
of the time. In ``segments``, ``then`` opens a second segment with a binding of its own. Of the ways to read
"two segments, each with bindings", this is the one that the published code tests: a segment carries out what it
binds itself, so repeating the actions as they come solves it. Segments that go back to a binding of an earlier
one are level 4 of :mod:`~memkit.tasks.binding.levels`.

Variables in a command differ, and so do their actions. 3 variables × 5 actions: 240 commands with each
connective, 120 in segments, 840 in all. Patterns: ``then/in order``, ``then/reversed``, ..., ``segments``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memkit.tasks.binding.table import BindingTask, Row
from memkit.tasks.binding.templates import Template

CONNECTIVES = ("then", "and", "or")


@dataclass(frozen=True, kw_only=True)
class Sequencing(BindingTask):
    """``V means A W means B do V|W connective W|V``, and, with ``segments``, ``V means A do V then W means B do W``."""

    connectives: tuple[str, ...] = CONNECTIVES
    segments: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "connectives", tuple(self.connectives))
        super().__post_init__()
        chosen = set(self.connectives)
        if len(chosen) < len(self.connectives) or not chosen <= set(CONNECTIVES):
            raise ValueError(f"connectives must be some of {', '.join(CONNECTIVES)}, each once, not {self.connectives}")
        if not chosen and not self.segments:
            raise ValueError("connectives must not be empty without segments")

    def rows(self) -> Iterator[Row]:
        for template in self._templates():
            yield from template.rows(self.vocabulary)

    def _templates(self) -> Iterator[Template]:
        for connective in self.connectives:
            for order, (first, second) in (("in order", (1, 2)), ("reversed", (2, 1))):
                yield Template(
                    f"v1 means a1 v2 means a2 do v{first} {connective} v{second}",
                    f"a{first}" if connective == "or" else f"a{first} a{second}",
                    f"{connective}/{order}",
                )
        if self.segments:
            yield Template("v1 means a1 do v1 then v2 means a2 do v2", "a1 a2", "segments")
