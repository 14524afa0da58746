"""memkit: experiments as tests.

A claim about a memory-augmented network is a pytest test; its seeds are the test's parameters, its arms are trained
models that are cached, and its verdict is computed from confidence intervals.
"""

from memkit.errors import MemkitError, MemkitWarning
from memkit.evidence.claim import Arm, Claim, claim
from memkit.evidence.contrast import Contrast
from memkit.evidence.multiverse import multiverse
from memkit.evidence.mutant import mutant
from memkit.evidence.replication import replicated
from memkit.evidence.sweep import sweep
from memkit.evidence.verdict import Verdict
from memkit.study.staged import staged
from memkit.training.recipe import Recipe

__version__ = "0.1.0"

__all__ = [
    "Arm",
    "Claim",
    "Contrast",
    "MemkitError",
    "MemkitWarning",
    "Recipe",
    "Verdict",
    "__version__",
    "claim",
    "multiverse",
    "mutant",
    "replicated",
    "staged",
    "sweep",
]
