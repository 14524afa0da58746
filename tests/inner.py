"""Runs of pytest and of the memkit command within this process, instead of in processes of their own.

A separate process takes seconds to start. Only tests about processes, kills, signals and imports start one.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import pkgutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import memkit
from memkit.cli import main


def import_all() -> None:
    """Import all of memkit except memkit.mlx, since modules that an inner run imports are removed when it ends.

    Modules that cannot be imported twice in a process, such as some of torch's, are imported here as well.
    """
    modules = pkgutil.walk_packages(memkit.__path__, "memkit.", onerror=lambda name: None)
    names = [m.name for m in modules if not m.name.startswith("memkit.mlx") and not m.name.endswith("__main__")]
    for name in ("pandas", "scipy.special", "scipy.stats", "safetensors.torch", "torch.distributed.tensor", *names):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("ray", "ruamel", "safetensors", "sklearn", "torch"):
                raise


import_all()

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


@contextmanager
def own_modules() -> Iterator[None]:
    """Remove, at the end of the block, the modules that were imported within it; read no module from a cache."""
    modules, path, finders = dict(sys.modules), list(sys.path), list(sys.meta_path)
    dont_write_bytecode = sys.dont_write_bytecode
    # Python takes a module for unchanged if it was rewritten within a second and has the same length.
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = dont_write_bytecode
        sys.path[:], sys.meta_path[:] = path, finders
        sys.modules.clear()
        sys.modules.update(modules)


def run(pytester: pytest.Pytester, *arguments: str, plugins: Any = ()) -> pytest.RunResult:
    """Run pytest in this process, in the current directory, from which modules can be imported."""
    with own_modules():
        sys.path.insert(0, str(pytester.path))
        return pytester.runpytest_inprocess(*arguments, plugins=plugins, no_reraise_ctrlc=True)


def command(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the memkit command in this process."""
    out, err, began = io.StringIO(), io.StringIO(), time.monotonic()
    with own_modules(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sys.path.insert(0, str(pytester.path))
        try:
            code = main(arguments)
        except SystemExit as error:
            code = int(error.code or 0)
    result = pytest.RunResult(code, out.getvalue().splitlines(), err.getvalue().splitlines(), time.monotonic() - began)
    sys.stdout.write(out.getvalue())
    sys.stderr.write(err.getvalue())
    return result
