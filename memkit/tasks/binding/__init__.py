"""Variable binding: commands such as ``X is jump recall X``, as word indices, with the actions that they ask for.

Every task is a frozen dataclass with the same methods (see :class:`~memkit.tasks.binding.table.BindingTask`).
"""

from memkit.tasks.binding.curriculum import Curriculum
from memkit.tasks.binding.execution import Execution
from memkit.tasks.binding.history import History
from memkit.tasks.binding.levels import Levels
from memkit.tasks.binding.nesting import Nesting
from memkit.tasks.binding.rebinding import Rebinding
from memkit.tasks.binding.recognition import Recognition
from memkit.tasks.binding.retrieval import Retrieval
from memkit.tasks.binding.sequencing import Sequencing
from memkit.tasks.binding.table import BindingTask, Commands, Sampler, Subset
from memkit.tasks.binding.vocabulary import Vocabulary

__all__ = [
    "BindingTask",
    "Commands",
    "Curriculum",
    "Execution",
    "History",
    "Levels",
    "Nesting",
    "Rebinding",
    "Recognition",
    "Retrieval",
    "Sampler",
    "Sequencing",
    "Subset",
    "Vocabulary",
]
