"""Memories of a GPT, by kind: each defines how contexts are written and how the memory is read.

slots        gated slots with keys and values; the slot that was written longest ago is overwritten
delta        an associative matrix, updated by the delta rule
learnt       slots that are written and read by learnt attention, similar to the recurrent memory transformer
linformer    the published LinformerMemory, with settings that take effect
documented   the memory as the documentation of the published model describes it
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from memkit.errors import MemkitError, suggestion
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
    """Return the memory layer that some settings describe, such as ``{"kind": "slots", "slots": 8}``.

    Raises:
        MemkitError: the kind, or one of its settings, is unknown.
    """
    options = dict(settings)
    kind = options.pop("kind", None)
    if kind not in KINDS:
        raise MemkitError(f"memory={dict(settings)!r} must have a kind{suggestion(str(kind), KINDS)}")
    known = list(inspect.signature(KINDS[kind]).parameters)[2:]
    for name in options:
        if name not in known:
            raise MemkitError(f"a memory of kind {kind!r} has no setting {name!r}{suggestion(name, known)}")
    layer_class: Any = KINDS[kind]
    built: MemoryLayer = layer_class(generators, width, **options)
    return built
