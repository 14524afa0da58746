"""``memkit demo``: demonstrations of a memory on a sentence of your own."""

from __future__ import annotations

import argparse
import importlib.util

from memkit.cli import places
from memkit.errors import MemkitError


def recall(options: argparse.Namespace) -> int:
    """``memkit demo recall``: read a sentence once, and complete its cue with the memory on, off and shuffled."""
    if importlib.util.find_spec("torch") is None:
        raise MemkitError("the demonstration trains a model, which needs torch; install memkit with its extra [torch]")
    from memkit.demo.recall import run

    run(places.store(options.store), options.fact, options.cue)
    return 0
