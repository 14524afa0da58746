"""The memories of a GPT, by kind: how each writes contexts, and how it is read.

slots        gated slots with values, the oldest written first: what recalls
delta        an associative matrix, corrected by the delta rule
learnt       slots that are written and read by learnt attention, recurrent-memory style
linformer    LinformerMemory as published, with its settings made real
documented   the module as its documentation describes it
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from memkit.errors import MemkitError, nearest
from memkit.models.gpt_memory.delta import DeltaMemory
from memkit.models.gpt_memory.documented import DocumentedMemory
from memkit.models.gpt_memory.layer import MemoryLayer, State
from memkit.models.gpt_memory.learnt import LearntSlots
from memkit.models.gpt_memory.linformer import LinformerMemory
from memkit.models.gpt_memory.slots import SlotMemory
from memkit.models.layers import Generators

__all__ = ["KINDS", "MemoryLayer", "State", "memory_layer"]

KINDS: dict[str, type[MemoryLayer]] = {
    "slots": SlotMemory,
    "delta": DeltaMemory,
    "learnt": LearntSlots,
    "linformer": LinformerMemory,
    "documented": DocumentedMemory,
}


def memory_layer(generators: Generators, width: int, settings: Mapping[str, Any]) -> MemoryLayer:
    """The memory that some settings describe: ``{"kind": "slots", "slots": 8}``.

    Raises:
        MemkitError: the kind, or a setting of it, is not known.
    """
    options = dict(settings)
    kind = options.pop("kind", None)
    if kind not in KINDS:
        raise MemkitError(f"memory={dict(settings)!r} must have a kind{nearest(str(kind), KINDS)}")
    known = list(inspect.signature(KINDS[kind]).parameters)[2:]
    for name in options:
        if name not in known:
            raise MemkitError(f"a memory of kind {kind!r} has no setting {name!r}{nearest(name, known)}")
    layer: Any = KINDS[kind]
    made: MemoryLayer = layer(generators, width, **options)
    return made
