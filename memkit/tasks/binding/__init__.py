"""Variable binding: commands such as ``X is jump recall X``, as word indices, with the actions they ask for.

Every task is a frozen dataclass with the same methods (see :class:`~memkit.tasks.binding.table.BindingTask`).
"""

from memkit.tasks.binding.execution import Execution
from memkit.tasks.binding.rebinding import Rebinding
from memkit.tasks.binding.recognition import Recognition
from memkit.tasks.binding.retrieval import Retrieval
from memkit.tasks.binding.table import BindingTask, Commands, Sampler
from memkit.tasks.binding.vocabulary import Vocabulary

__all__ = [
    "BindingTask",
    "Commands",
    "Execution",
    "Rebinding",
    "Recognition",
    "Retrieval",
    "Sampler",
    "Vocabulary",
]
