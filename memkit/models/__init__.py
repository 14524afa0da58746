"""The networks: those that hold a memory, and the parametric controls that do not.

Every network trains a cohort of seeds at once. It is made from one generator a seed, every parameter carries
the seeds as its leading axis, and ``forward`` maps tokens [S, B, L] to logits [S, B, P, answers]. With one
seed it is an ordinary network. Nothing mixes seeds: a result does not depend on the cohort it is trained in.
"""

from memkit.models.cross_attention import CrossAttentionNetwork
from memkit.models.lstm import LSTMNetwork
from memkit.models.memory_network import MemoryNetwork
from memkit.models.parameters import parameters_per_seed
from memkit.models.slots import SlotNetwork
from memkit.models.transformer import TransformerNetwork
from memkit.models.two_stage import TwoStageNetwork

__all__ = [
    "CrossAttentionNetwork",
    "LSTMNetwork",
    "MemoryNetwork",
    "SlotNetwork",
    "TransformerNetwork",
    "TwoStageNetwork",
    "parameters_per_seed",
]
