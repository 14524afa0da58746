"""Aliases: code that is moved or renamed keeps its identity.

The lock and the store contain names of modules, classes and functions, and digests of source code cover such names. All
of these use the original name of the code. The table for memkit is at the end of this file. A project's table is in its
``pyproject.toml``, with one line per renaming, old name = new name::

    [tool.memkit.aliases]
    "lab.nets" = "lab.models.networks"
    "lab.nets:Net" = "lab.models.networks:SlotNetwork"
    "lab.tasks:Copy(length)" = "lab.tasks:Copy(steps)"

A line names a module, or a class or function after a colon, or one of its options in brackets. A class, function or
option that is moved with its module, under the same name, needs no line of its own.
"""

from __future__ import annotations

import functools
import keyword
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError
from memkit.paths import settings_file

_HOME = Path(__file__).resolve().parent
_PART = r"[^\W\d]\w*"
_NAME = re.compile(rf"{_PART}(\.{_PART})*(:{_PART}(\({_PART}\))?)?")


@dataclass(frozen=True)
class Aliases:
    """A table of old names and new names.

    Attributes:
        renamed: old name → new name.
        where: the location of the table, for messages.

    Raises:
        MemkitError: a name is not valid, is the new name for two old names, or is both an old and a new name.
    """

    renamed: Mapping[str, str] = field(hash=False)
    where: str = "aliases"
    _first: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for old, new in self.renamed.items():
            for name in (old, new):
                if not _is_name(name):
                    raise MemkitError(
                        f'{self.where}: {name!r} is not a valid name; write "package.module", "package.module:Name" or '
                        '"package.module:Name(option)"'
                    )
            if _kind(old) != _kind(new):
                raise MemkitError(
                    f"{self.where}: {old} is {_kind(old)} and {new} is {_kind(new)}; both must be of one kind"
                )
        old_names = {new: old for old, new in self.renamed.items()}
        if len(old_names) < len(self.renamed):
            twice = next(new for old, new in self.renamed.items() if old_names[new] != old)
            raise MemkitError(f"{self.where}: {twice} is the new name for two old names; give each its own new name")
        if both := sorted(old_names.keys() & self.renamed.keys()):
            old, new = old_names[both[0]], self.renamed[both[0]]
            raise MemkitError(
                f"{self.where}: {both[0]} is both an old and a new name; replace the two lines by {old} = {new}"
            )
        object.__setattr__(self, "_first", old_names)

    def first(self, name: str) -> str:
        """Return the original name of a module, or of an object ``module:Name``."""
        return _mapped(name, self._first)

    def now(self, name: str) -> str:
        """Return the current name of a module, or of an object ``module:Name``."""
        return _mapped(name, self.renamed)

    def first_options(self, owner: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options under their original names.

        Args:
            owner: the current name of the class or function that takes the options, ``module:Name``.
        """
        return _renamed_options({name: self._first.get(f"{owner}({name})") for name in options}, options)

    def options_now(self, owner: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options under their current names.

        Args:
            owner: the original name of the class or function that takes the options, ``module:Name``.
        """
        return _renamed_options({name: self.renamed.get(f"{owner}({name})") for name in options}, options)

    def first_dotted(self, name: str) -> str:
        """Return the original form of a dotted name of a module, or of an object in a module."""
        module = name
        while module:
            rest = name[len(module) + 1 :]
            if rest and (first := self._first.get(f"{module}:{rest.partition('.')[0]}")):
                return ".".join([first.replace(":", "."), *rest.split(".")[1:]])
            if first := self._first.get(module):
                return ".".join(filter(None, (first, rest)))
            module = module.rpartition(".")[0]
        return name

    @functools.cached_property
    def moved(self) -> frozenset[str]:
        """The modules in the new names, and the packages that contain them."""
        modules = (name.partition(":")[0].split(".") for name in self._first)
        return frozenset(".".join(parts[:count]) for parts in modules for count in range(1, len(parts) + 1))

    @property
    def new_names(self) -> frozenset[str]:
        """The new names in the table."""
        return frozenset(self._first)


def _is_name(name: Any) -> bool:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return False
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in re.split(r"[.:(]", name.rstrip(")")))


def _kind(name: str) -> str:
    return "an option" if name.endswith(")") else "an object" if ":" in name else "a module"


def _mapped(name: str, table: Mapping[str, str]) -> str:
    module, colon, qualified = name.partition(":")
    head, dot, rest = qualified.partition(".")
    if colon and (mapped := table.get(f"{module}:{head}")):
        return f"{mapped}{dot}{rest}"
    return f"{table.get(module, module)}{colon}{qualified}"


def _renamed_options(renamed: Mapping[str, str | None], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options under other names.

    Args:
        renamed: name → the other name, ``module:Name(option)``; None for an option that keeps its name.

    Raises:
        MemkitError: two options would have the same name.
    """
    names = {name: other[other.index("(") + 1 : -1] if other else name for name, other in renamed.items()}
    if len(set(names.values())) < len(names):
        clashing = sorted(name for name in names if list(names.values()).count(names[name]) > 1)
        raise MemkitError(
            f"aliases: the options {clashing[0]!r} and {clashing[1]!r} would both be called {names[clashing[0]]!r}"
        )
    return {names[name]: value for name, value in options.items()}


def aliases_of(file: Path | str | None) -> Aliases:
    """Return the aliases that apply to a file of code: those of memkit and of the file's project.

    Raises:
        MemkitError: the project's table is not a table of names.
    """
    settings = _settings_of(os.path.dirname(os.path.abspath(file))) if file else None
    return _of_project(settings, os.stat(settings).st_mtime_ns) if settings else MEMKIT


def aliases_of_module(name: str) -> Aliases:
    """Return the aliases that apply to a module of this process."""
    return aliases_of(getattr(sys.modules.get(name), "__file__", None))


def settings_in_use(files: Iterable[Path]) -> list[Path]:
    """Return the ``pyproject.toml`` files whose aliases apply to files of code, or to modules on ``sys.path``."""
    folders = [os.path.dirname(os.path.abspath(file)) for file in files]
    folders += [os.path.abspath(path) for path in sys.path if os.path.isdir(path or ".")]
    settings = (_find_settings(folder) for folder in dict.fromkeys(folders))
    return list(map(Path, filter(None, dict.fromkeys(settings))))


def aliases_here() -> Aliases:
    """Return the aliases of all projects on ``sys.path``."""
    return combined(*(_of_project(file, os.stat(file).st_mtime_ns) for file in _settings_on(tuple(sys.path))))


@functools.lru_cache(8)
def _settings_on(paths: tuple[str, ...]) -> list[str]:
    settings = (_settings_of(os.path.abspath(path)) for path in paths if os.path.isdir(path or "."))
    return list(filter(None, dict.fromkeys(settings)))


@functools.cache
def _settings_of(folder: str) -> str | None:
    return _find_settings(folder)


def _find_settings(folder: str) -> str | None:
    """Return the settings file of the project that contains a folder; None for memkit itself and installed packages."""
    path = Path(folder)
    if path.is_relative_to(_HOME) or {"site-packages", "dist-packages"} & set(path.parts):
        return None
    file = settings_file(path)
    return str(file) if file is not None else None


def combined(*tables: Aliases) -> Aliases:
    """Return one table with the lines of memkit's table and of other tables."""
    return _merged(tuple(dict.fromkeys((MEMKIT, *tables))))


@functools.lru_cache(64)
def _merged(tables: tuple[Aliases, ...]) -> Aliases:
    renamed = {old: new for table in tables for old, new in table.renamed.items()}
    return Aliases(renamed, tables[-1].where) if len(tables) > 1 else tables[0]


@functools.lru_cache(64)
def _of_project(file: str, mtime: int) -> Aliases:
    return combined(project_aliases(Path(file)))


def project_aliases(file: Path) -> Aliases:
    """Return the table ``[tool.memkit.aliases]`` of a ``pyproject.toml``.

    Raises:
        MemkitError: it is not a table of names.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("memkit", {}).get("aliases", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError):
        return Aliases({})  # the code that reads the settings reports the error
    where = f"{file}, [tool.memkit.aliases]"
    if not isinstance(table, dict):
        raise MemkitError(f'{where} must be a table of old = new, as in "lab.nets" = "lab.networks"')
    return Aliases(table, where)


def _moved(old: str, new: str, names: Iterable[str]) -> dict[str, str]:
    return {f"memkit.{old}.{name}": f"memkit.{new}.{name}" for name in names}


MEMKIT = Aliases(
    {
        "memkit.characters": "memkit.demo.characters",
        "memkit.evidence.claim:claim_of": "memkit.evidence.claim_decorator:claim_of",
        "memkit.models.diagnostics:seconds_an_image": "memkit.models.diagnostics:cpu_seconds_per_image",
        "memkit.models.recall_diagnostics:address_right": "memkit.models.recall_diagnostics:address_accuracy",
        "memkit.models.recall_diagnostics:contexts_told_apart": "memkit.models.recall_diagnostics:effective_contexts",
        "memkit.models.recall_diagnostics:cues_told_apart": "memkit.models.recall_diagnostics:effective_cues",
        "memkit.streams": "memkit.training.streams",
        "memkit.study.scoring": "memkit.training.scoring",
        **_moved("training", "recipes", ("recipe", "references", "backends", "diagnosis", "untracked")),
        "memkit.training.vmapped": "memkit.training.stacked_modules",
        "memkit.training.checked": "memkit.store.verified_files",
        **_moved("training", "store", ("store", "entries", "remote", "leases", "housekeeping")),
        **_moved("training", "store", ("measurements", "dependencies")),
        **_moved("training", "scheduling", ("cohorts", "queue", "estimates", "devices", "executor", "ray_executor")),
    },
    "memkit's aliases",
)
