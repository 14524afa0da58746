"""memkit: experiments as tests.

A claim about a memory-augmented network is a pytest test; its seeds are the test's parameters, its arms are trained
models that are cached, and its verdict is computed from confidence intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memkit.on_demand import on_demand

if TYPE_CHECKING:
    from memkit.errors import MemkitError, MemkitWarning
    from memkit.evidence.arm import Arm
    from memkit.evidence.claim import Claim
    from memkit.evidence.claim_decorator import claim
    from memkit.evidence.contrast import Contrast
    from memkit.evidence.derived.multiverse import multiverse
    from memkit.evidence.derived.mutant import mutant
    from memkit.evidence.derived.replication import replicated
    from memkit.evidence.derived.sweep import sweep
    from memkit.evidence.figures import Heatmap, Lines, Table
    from memkit.evidence.verdict import Verdict
    from memkit.recipes.recipe import Recipe
    from memkit.study.staged import staged
    from memkit.training.streams import generator

__version__ = "0.1.0"

__all__ = [
    "Arm",
    "Claim",
    "Contrast",
    "Heatmap",
    "Lines",
    "MemkitError",
    "MemkitWarning",
    "Recipe",
    "Table",
    "Verdict",
    "__version__",
    "claim",
    "generator",
    "multiverse",
    "mutant",
    "replicated",
    "staged",
    "sweep",
]

# pytest imports this package in every environment in which it is installed, and most runs there have no claims. So each
# name is imported on first use, and numpy, scipy and the engine are imported only then.
_MODULES = {
    "Arm": "evidence.arm",
    "Claim": "evidence.claim",
    "Contrast": "evidence.contrast",
    "Heatmap": "evidence.figures",
    "Lines": "evidence.figures",
    "MemkitError": "errors",
    "MemkitWarning": "errors",
    "Recipe": "recipes.recipe",
    "Table": "evidence.figures",
    "Verdict": "evidence.verdict",
    "claim": "evidence.claim_decorator",
    "generator": "training.streams",
    "multiverse": "evidence.derived.multiverse",
    "mutant": "evidence.derived.mutant",
    "replicated": "evidence.derived.replication",
    "staged": "study.staged",
    "sweep": "evidence.derived.sweep",
}

__getattr__, __dir__ = on_demand(__name__, _MODULES)
