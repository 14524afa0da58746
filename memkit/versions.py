"""Versions of the packages that a result depends on."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from memkit.source import imported_packages

_BUILD = re.compile(r"\+(cpu|cu\d+|rocm[\d.]+|xpu)$")


def versions_behind(files: Iterable[Path]) -> dict[str, str]:
    """Return the version of Python, and of every installed package that files of code import: name → version."""
    return {name: found for name in ("python", *imported_packages(files)) if (found := version_of(name))}


@cache
def version_of(package: str) -> str:
    """Return the version of what gives a top-level module, without torch's name of a build; "" where nothing does.

    Of Python it is the minor version. The device is known by itself, so one build of torch is as good as another.
    """
    if package == "python":
        return ".".join(platform.python_version_tuple()[:2])
    for distribution in dict.fromkeys((package, *_distributions(package))):
        try:
            return _BUILD.sub("", version(distribution))
        except PackageNotFoundError:
            continue
    return ""


def _distributions(package: str) -> list[str]:
    try:
        version(package)
    except PackageNotFoundError:
        return sorted(_by_package().get(package, ()))
    return []


@cache
def _by_package() -> Mapping[str, list[str]]:
    # It takes long, and only packages whose names differ from their modules' need it.
    return packages_distributions()
