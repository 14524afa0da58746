"""Networks with a memory, and networks without one to compare them with.

Every network trains a cohort of S seeds at once. It is built from one random generator per seed, every parameter has
the seeds as its leading axis, and ``forward`` maps inputs [S, B, ...] to outputs [S, B, ...]. With one seed it is an
ordinary network. Seeds never interact: the result of a seed does not depend on the other seeds of its cohort.

With a memory
    ``SlotNetwork``, ``ManagedSlotNetwork``, ``MemoryNetwork`` (binding); ``GPT`` and ``Recalling`` (recall);
    ``NextTokenMemory`` (a GPT with a store of next tokens); ``IntervenedNetwork`` and ``GrowingIntervenedNetwork`` (a
    memory of nearest neighbours that changes a hidden state)
Without a memory
    ``TransformerNetwork``, ``LSTMNetwork``, ``CrossAttentionNetwork``, ``TwoStageNetwork``, ``FeedForwardNetwork``,
    ``GrowingNetwork``, ``EmbeddingKNN`` (nearest neighbours vote for a class), ``FineTuned``
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memkit.on_demand import on_demand

if TYPE_CHECKING:
    from memkit.models.cross_attention import CrossAttentionNetwork
    from memkit.models.embedding_knn import EmbeddingKNN
    from memkit.models.feedforward import FeedForwardNetwork
    from memkit.models.fine_tuning import FineTuned
    from memkit.models.gpt import GPT
    from memkit.models.growing import GrowingNetwork
    from memkit.models.growing_intervened import GrowingIntervenedNetwork
    from memkit.models.intervened import IntervenedNetwork
    from memkit.models.lstm import LSTMNetwork
    from memkit.models.managed_slots import ManagedSlotNetwork
    from memkit.models.memory_network import MemoryNetwork
    from memkit.models.next_token_memory import NextTokenMemory
    from memkit.models.parameters import parameters_per_seed
    from memkit.models.recalling import Recalling
    from memkit.models.slots import SlotNetwork
    from memkit.models.transformer import TransformerNetwork
    from memkit.models.two_stage import TwoStageNetwork

__all__ = [
    "GPT",
    "CrossAttentionNetwork",
    "EmbeddingKNN",
    "FeedForwardNetwork",
    "FineTuned",
    "GrowingIntervenedNetwork",
    "GrowingNetwork",
    "IntervenedNetwork",
    "LSTMNetwork",
    "ManagedSlotNetwork",
    "MemoryNetwork",
    "NextTokenMemory",
    "Recalling",
    "SlotNetwork",
    "TransformerNetwork",
    "TwoStageNetwork",
    "parameters_per_seed",
]

# Networks are imported on first use, so that code that uses one of them does not depend on the others.
_MODULES = {
    "CrossAttentionNetwork": "cross_attention",
    "EmbeddingKNN": "embedding_knn",
    "FeedForwardNetwork": "feedforward",
    "FineTuned": "fine_tuning",
    "GPT": "gpt",
    "GrowingIntervenedNetwork": "growing_intervened",
    "GrowingNetwork": "growing",
    "IntervenedNetwork": "intervened",
    "LSTMNetwork": "lstm",
    "ManagedSlotNetwork": "managed_slots",
    "MemoryNetwork": "memory_network",
    "NextTokenMemory": "next_token_memory",
    "Recalling": "recalling",
    "SlotNetwork": "slots",
    "TransformerNetwork": "transformer",
    "TwoStageNetwork": "two_stage",
    "parameters_per_seed": "parameters",
}

__getattr__, __dir__ = on_demand(__name__, _MODULES)
