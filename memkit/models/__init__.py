"""The networks: those that hold a memory, and the parametric controls that do not.

Every network trains a cohort of seeds at once. It is made from one generator a seed, every parameter carries
the seeds as its leading axis, and ``forward`` maps tokens [S, B, L] to logits [S, B, P, answers]. With one
seed it is an ordinary network. Nothing mixes seeds: a result does not depend on the cohort it is trained in.
"""

from memkit.models.lstm import LSTMNetwork
from memkit.models.parameters import parameters_per_seed
from memkit.models.slots import SlotNetwork
from memkit.models.transformer import TransformerNetwork

__all__ = ["LSTMNetwork", "SlotNetwork", "TransformerNetwork", "parameters_per_seed"]
