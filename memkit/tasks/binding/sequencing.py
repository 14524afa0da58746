"""Sequencing: carry out two bound actions in the order of the command, or only the first.

    then       input    X means jump Y means walk do Y then X
               answer                                WALK   JUMP

    and        input    X means jump Y means walk do Y and X
               answer                                WALK  JUMP

    or         input    X means jump Y means walk do Y or X
               answer                                WALK (END)

    segments   input    X means jump do X then Y means walk do Y
               answer                JUMP                   WALK

``then`` and ``and`` have the same meaning; ``or`` always asks for the first of the two variables. The variables are
asked for in the order of their bindings (``in order``) or the other way round (``reversed``), so repeating the actions
as they were stated is right half of the time. In ``segments``, ``then`` begins a second segment with its own binding.
Of the possible readings of "two segments, each with bindings", this is the one that the published code tests: a segment
carries out the action that it binds, so repeating the actions as they were stated solves it. Segments that refer back
to the binding of an earlier segment are part of level 4 of :mod:`~memkit.tasks.binding.levels`.

The variables of a command differ, and so do their actions. 3 variables × 5 actions: 240 commands with each
connective, 120 in segments, 840 in total. Patterns: ``then/in order``, ``then/reversed``, ..., ``segments``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from memkit.tasks.binding.table import BindingTask, Row
from memkit.tasks.binding.templates import Template

CONNECTIVES = ("then", "and", "or")


@dataclass(frozen=True, kw_only=True)
class Sequencing(BindingTask):
    """Commands ``V means A W means B do V|W connective W|V``; in ``segments``, ``V means A do V then W means B do W``.

    >>> from memkit import generator
    >>> from memkit.tasks.binding import Sequencing
    >>> task = Sequencing(connectives=("then",), segments=False)
    >>> inputs, targets = task.commands(generator(0, "split"), pattern="then/reversed")
    >>> task.vocabulary.decode(inputs[0].tolist()), task.vocabulary.decode_answer(targets[0].tolist())
    ('X means walk Y means jump do Y then X', 'JUMP WALK')
    """

    connectives: tuple[str, ...] = CONNECTIVES
    segments: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "connectives", tuple(self.connectives))
        super().__post_init__()
        chosen = set(self.connectives)
        if len(chosen) < len(self.connectives) or not chosen <= set(CONNECTIVES):
            raise ValueError(f"connectives must be some of {', '.join(CONNECTIVES)}, each once, not {self.connectives}")
        if not chosen and not self.segments:
            raise ValueError("connectives must not be empty if segments is False")

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
