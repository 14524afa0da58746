"""The command-line options: their long names, their short names, and the project's ``[tool.memkit]``.

pytest has one namespace for the options of all plugins and conftests. Every option of memkit therefore has a long name
that begins with ``--memkit-``. A short name, ``--store`` for ``--memkit-store``, is added only where nobody else has
it, after all plugins and the initial conftests have added theirs; ``arguments`` does so.

This module is imported in every pytest run of an environment in which memkit is installed, so it imports nothing of
memkit's but ``memkit.errors`` and ``memkit.paths``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError, nearest
from memkit.paths import is_url, named_path, project_root, settings_file

PREFIX = "memkit-"
MOST_SEEDS = 100
"""Per claim: as many as the lock sets aside for an attempt."""


def seeds(text: str) -> int:
    """Parse a number of seeds."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MOST_SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seeds, from 1 to {MOST_SEEDS}; give 8, 16 or 32")
    return number


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    Attributes:
        name: the short name, without dashes: ``store``.
        help: for ``pytest --help``.
        attributes: further keyword arguments of ``parser.addoption``; without an ``action`` the option takes a value.
        default: the value where neither the command line, the environment nor ``[tool.memkit]`` gives one.
        dest: the option whose value this one sets, if it is not its own.
        environment: the environment variable that is asked where the command line gives no value, or "".
        kind: the type of the value in ``[tool.memkit]``; None where a project cannot set the option once and for all.
        long_only: there is no short name, because pytest has that option.
    """

    name: str
    help: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    default: Any = None
    dest: str = ""
    environment: str = ""
    kind: type | None = None
    long_only: bool = False

    @property
    def long(self) -> str:
        """``--memkit-store``."""
        return f"--{PREFIX}{self.name}"

    @property
    def short(self) -> str:
        """``--store``."""
        return f"--{self.name}"

    @property
    def takes_value(self) -> bool:
        """True where a value follows the name."""
        return "action" not in self.attributes

    @property
    def target(self) -> str:
        """The attribute of pytest's namespace that holds the value."""
        return f"{PREFIX}{self.dest or self.name}".replace("-", "_")


_FLAG = {"action": "store_true"}
_SWEEPS = ("none", "only", "all")

OPTIONS = (
    Option(
        "seeds",
        "at most N seeds per claim: 8, 16 or 32; another number reports and decides nothing (default: what the claim "
        "declares, or 32; a run stops at the verdict)",
        {"type": seeds, "metavar": "N"},
        kind=int,
    ),
    Option("headline", "only the claims that are marked headline=True", _FLAG, default=False, kind=bool),
    Option(
        "sweeps",
        "only the cells of sweeps and the replications, which are left out otherwise",
        {"action": "store_const", "const": "only"},
        default="none",
        kind=str,
    ),
    Option(
        "with-sweeps",
        "all claims, including the cells of sweeps and the replications",
        {"action": "store_const", "const": "all"},
        default="none",
        dest="sweeps",
    ),
    Option(
        "development",
        "use development seeds; they decide nothing, so look at them as often as you like",
        _FLAG,
        default=False,
        kind=bool,
    ),
    Option("fresh", "measure again, on the stored models", _FLAG, default=False, kind=bool),
    Option("retrain", "train again, and measure again", _FLAG, default=False, kind=bool),
    Option(
        "store",
        "where trained runs are kept: a folder, or a URL that machines share, s3://bucket/folder (default: "
        "MEMKIT_STORE, else .memkit in the project)",
        {"metavar": "DIR"},
        environment="MEMKIT_STORE",
        kind=str,
    ),
    Option(
        "data",
        "the folder that data sets are read from (default: MEMKIT_DATA); claims whose data are missing there are "
        "skipped",
        {"metavar": "DIR"},
        environment="MEMKIT_DATA",
        kind=str,
    ),
    Option(
        "evidence",
        "the evidence file (default: reports/evidence.json in the project); its .csv and .html are written beside it",
        {"metavar": "FILE"},
        kind=str,
    ),
    Option(
        "device",
        "where models are trained and measured (default: cpu)",
        {"choices": ("cpu", "cuda", "mps")},
        default="cpu",
        kind=str,
    ),
    Option(
        "executor",
        "what trains: processes of this machine, many seeds at once (local, the default); a Ray cluster, into a store "
        "that its nodes share (ray); or the test that asks for the model, one seed at a time, where a debugger can "
        "follow it (inline)",
        {"choices": ("local", "ray", "inline")},
        default="local",
        kind=str,
    ),
    Option(
        "ray-address",
        "the address of the Ray cluster: HOST:PORT, or auto (default), the one that this machine belongs to",
        {"metavar": "ADDRESS"},
        default="auto",
        kind=str,
    ),
    Option(
        "gate",
        "what fails the run: a verdict that is not the registered one (verdict, the default); that, and what changed "
        "since the accepted run (drift); or no verdict (none)",
        {"choices": ("verdict", "drift", "none")},
        default="verdict",
        kind=str,
    ),
    Option(
        "strict",
        "for CI: a claim that is not registered, or that cannot be decided for whatever reason (its data are missing, "
        "say), fails the run",
        _FLAG,
        default=False,
        kind=bool,
        long_only=True,
    ),
)
WITH_SHORT_NAMES = tuple(option for option in OPTIONS if not option.long_only)
_PATHS = ("store", "data", "evidence")
_ROOT = pytest.StashKey[Path]()


def add_long_names(parser: pytest.Parser) -> None:
    """Add every option by its long name."""
    group = parser.getgroup(
        "memkit",
        "memkit: claims, their seeds and their evidence. Each option may also be given without the prefix memkit-, "
        "as in --store, unless another plugin or a conftest has an option of that name",
    )
    for option in OPTIONS:
        # No default here: `config_values` has to know what the command line gave.
        group.addoption(option.long, dest=option.target, default=None, help=option.help, **option.attributes)


def root_of(config: pytest.Config) -> Path:
    """Return the root of the project whose claims a run is about, by the paths that pytest collects.

    It depends neither on the values of options nor on the working directory; pytest's root directory depends on both.

    Raises:
        MemkitError: the paths belong to two locks.
    """
    if _ROOT not in config.stash:
        config.stash[_ROOT] = project_root(place for place, _ in asked(config))
    return config.stash[_ROOT]


def asked(config: pytest.Config) -> list[tuple[Path, bool]]:
    """Return the files and folders that pytest was asked to collect, and whether all of each."""
    here = config.invocation_params.dir
    found = []
    for argument in config.args:
        name, part, _ = argument.partition("::")
        place = _of_package(name) if config.option.pyargs else None
        found.append((place or (here / name).resolve(), not part))
    return found


def _of_package(name: str) -> Path | None:
    """Return the path of a package or module that is given by its name, as after ``--pyargs``."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])] if spec else []
    return Path(places[0]).resolve() if places else None


def config_values(config: pytest.Config) -> dict[str, Any]:
    """Return the value of every option: from the command line, the environment, or the project's ``[tool.memkit]``.

    A relative path is relative to the directory that pytest was started in; in ``[tool.memkit]``, to the folder of
    that file.

    Raises:
        MemkitError: ``[tool.memkit]`` has an unknown key, or a value that its option does not accept; or the paths
            that pytest collects belong to two locks.
    """
    file, project = project_values(root_of(config))
    here = config.invocation_params.dir
    found: dict[str, Any] = {}
    for option in OPTIONS:
        if option.dest:
            continue
        given, what = getattr(config.option, option.target, None), option.long
        if given is None and option.environment:
            given, what = os.environ.get(option.environment) or None, option.environment
        folder = here
        if given is None and option.name in project:
            given, folder, what = project[option.name], file.parent, f"{option.name} in [tool.memkit]"
        if given is None:
            given = option.default
        if option.name in _PATHS and given is not None and not (option.name == "store" and is_url(given)):
            given = str(named_path(given, folder, what=what))
        found[option.target.removeprefix("memkit_")] = given
    return found


def data_named(config: pytest.Config) -> str | None:
    """Return the data folder that the command line or the project names; the other options are not looked at.

    Raises:
        MemkitError: as for :func:`config_values`.
    """
    given: str | None = config.option.memkit_data
    if given is not None:
        return str(named_path(given, config.invocation_params.dir, what="--memkit-data"))
    file, project = project_values(root_of(config))
    return str(named_path(project["data"], file.parent, what="data in [tool.memkit]")) if "data" in project else None


def project_values(root: Path) -> tuple[Path, dict[str, Any]]:
    """Read ``[tool.memkit]`` of the nearest ``pyproject.toml``, at a project's root or above.

    Returns:
        The file, and what it says; an empty dict where there is no such table.

    Raises:
        MemkitError: an unknown key, or a value that its option does not accept.
    """
    file = settings_file(root) or root / "pyproject.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return file, {}
    if "memkit" not in text:  # so that it is not parsed in every run of every project
        return file, {}
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get("memkit", {})
    except tomllib.TOMLDecodeError as error:
        raise MemkitError(f"{file} cannot be read: {error}") from None
    where = f"{file}, [tool.memkit]"
    if not isinstance(table, dict):
        raise MemkitError(f"{where}: this must be a table of options, not {table!r}")
    options = {option.name: option for option in OPTIONS if option.kind is not None}
    if table.pop("aliases", None) is not None:
        from memkit.aliases import project_aliases

        project_aliases(file)  # which says what is wrong with it, before anything is collected
    for name, value in table.items():
        if name not in options:
            raise MemkitError(f"{where}: unknown option {name!r}{nearest(name, options)}")
        option = options[name]
        assert option.kind is not None
        if type(value) is not option.kind:
            kind = {int: "a number", str: "a text", bool: "true or false"}[option.kind]
            raise MemkitError(f"{where}: {name} = {value!r} must be {kind}")
        choices = _SWEEPS if name == "sweeps" else option.attributes.get("choices")
        if choices and value not in choices:
            raise MemkitError(f"{where}: {name} = {value!r} must be one of {', '.join(map(repr, choices))}")
        if option.kind is int and isinstance(value, int) and not 1 <= value <= MOST_SEEDS:
            raise MemkitError(f"{where}: {name} = {value!r} must be from 1 to {MOST_SEEDS}")
    return file, dict(table)
