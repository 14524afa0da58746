"""Versions of the packages that a result depends on."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from memkit.source import imported_packages

_TORCH_BUILD = re.compile(r"\+(cpu|cu\d+|rocm[\d.]+|xpu)$")


def versions_behind(files: Iterable[Path]) -> dict[str, str]:
    """Return the versions of Python and of every installed package that Python files import: name → version."""
    return {name: number for name in ("python", *imported_packages(files)) if (number := version_of(name))}


@cache
def version_of(package: str) -> str:
    """Return the version of the distribution that provides a top-level package; "" if none does.

    For Python, it is the major and minor version. The build of torch (``+cu126``) is left out, because the device is
    recorded separately, and so all builds count as equal.
    """
    if package == "python":
        return ".".join(platform.python_version_tuple()[:2])
    for distribution in dict.fromkeys((package, *_distributions(package))):
        try:
            return _TORCH_BUILD.sub("", version(distribution))
        except PackageNotFoundError:
            continue
    return ""


def _distributions(package: str) -> list[str]:
    """Return the distributions with other names than the package that they provide."""
    try:
        version(package)
    except PackageNotFoundError:
        return sorted(_by_package().get(package, ()))
    return []


@cache
def _by_package() -> Mapping[str, list[str]]:
    # This is slow, and needed only for packages whose distribution has another name.
    return packages_distributions()
