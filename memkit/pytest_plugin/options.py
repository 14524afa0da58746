"""The command-line options: their long names, their short names, and the project's ``[tool.memkit]``.

pytest has one namespace for the options of all plugins and conftests. Every option of memkit therefore has a long name
that begins with ``--memkit-``. The module ``arguments`` adds a short name, such as ``--store`` for ``--memkit-store``,
only where it is free after all plugins and the initial conftests have added their options.

Every pytest run imports this module if memkit is installed, so it imports only ``memkit.errors`` and ``memkit.paths``
from memkit.
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

from memkit.errors import MemkitError, suggestion
from memkit.paths import is_url, named_path, project_root, settings_file

PREFIX = "memkit-"
MAX_SEEDS = 100
"""The largest number of seeds per claim: the size of the block that the lock reserves for an attempt."""


def number_of_seeds(text: str) -> int:
    """Parse a number of seeds.

    Raises:
        argparse.ArgumentTypeError: the text is not a whole number from 1 to ``MAX_SEEDS``.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= MAX_SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MAX_SEEDS}, such as 32")
    return number


@dataclass(frozen=True)
class Option:
    """A command-line option.

    Attributes:
        name: the short name without dashes, such as ``store``.
        help: the text of ``pytest --help``.
        attributes: further keyword arguments of ``parser.addoption``; without an ``action`` the option takes a value.
        default: the value if neither the command line, the environment nor ``[tool.memkit]`` gives one.
        dest: the name of the option whose value this option sets; "" if it sets its own.
        environment: the environment variable that is read if the command line gives no value, or "".
        kind: the type of the value in ``[tool.memkit]``; None if the option cannot be set there.
        long_only: whether there is no short name, because pytest itself has an option of that name.
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
        """The long name, such as ``--memkit-store``."""
        return f"--{PREFIX}{self.name}"

    @property
    def short(self) -> str:
        """The short name, such as ``--store``."""
        return f"--{self.name}"

    @property
    def takes_value(self) -> bool:
        """True if a value follows the name."""
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
        "use at most N seeds per claim (default: what the claim declares, or 32; a claim stops at its verdict); with "
        "fewer than 6, results are reported and nothing is decided",
        {"type": number_of_seeds, "metavar": "N"},
        kind=int,
    ),
    Option("headline", "run only the claims that are marked headline=True", _FLAG, default=False, kind=bool),
    Option(
        "sweeps",
        "run only the cells of sweeps and the replications, which are excluded otherwise",
        {"action": "store_const", "const": "only"},
        default="none",
        kind=str,
    ),
    Option(
        "with-sweeps",
        "run all claims, including the cells of sweeps and the replications",
        {"action": "store_const", "const": "all"},
        default="none",
        dest="sweeps",
    ),
    Option(
        "development",
        "use development seeds, which decide nothing and may therefore be inspected as often as you like",
        _FLAG,
        default=False,
        kind=bool,
    ),
    Option(
        "laboratory",
        "use the seeds that `memkit register --laboratory NAME` has granted to a laboratory; its verdicts are recorded "
        "beside those of the project, and are not compared with the accepted run",
        {"metavar": "NAME"},
        default="",
    ),
    Option("fresh", "measure again, with the stored models", _FLAG, default=False, kind=bool),
    Option("retrain", "train again and measure again", _FLAG, default=False, kind=bool),
    Option(
        "store",
        "where trained runs are stored: a folder, or a URL that several machines share, such as s3://bucket/folder "
        "(default: MEMKIT_STORE, or else .memkit in the project)",
        {"metavar": "DIR"},
        environment="MEMKIT_STORE",
        kind=str,
    ),
    Option(
        "data",
        "the folder from which data sets are read (default: MEMKIT_DATA); claims whose data are missing are skipped",
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
        "where models are trained: in processes of this machine, many seeds at once (local, the default); on a Ray "
        "cluster, with a store that its nodes share (ray); or in the test that needs the model, one seed at a time, "
        "where a debugger can follow it (inline)",
        {"choices": ("local", "ray", "inline")},
        default="local",
        kind=str,
    ),
    Option(
        "ray-address",
        "the address of the Ray cluster: HOST:PORT, or auto (default) for the cluster that this machine belongs to",
        {"metavar": "ADDRESS"},
        default="auto",
        kind=str,
    ),
    Option(
        "gate",
        "what fails the run: a verdict that differs from the registered one (verdict, the default); such a verdict, or "
        "a change since the accepted run (drift); or no verdict at all (none)",
        {"choices": ("verdict", "drift", "none")},
        default="verdict",
        kind=str,
    ),
    Option(
        "strict",
        "for CI: a claim that is not registered, or that cannot be decided for any reason (for example, because its "
        "data are missing), fails the run",
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
    """Add every option under its long name."""
    group = parser.getgroup(
        "memkit",
        "memkit: claims, their seeds and their evidence. Each option may also be given without the prefix memkit-, "
        "as in --store, unless another plugin or a conftest has an option of that name",
    )
    for option in OPTIONS:
        # No default here: `config_values` must know which options the command line gave.
        group.addoption(option.long, dest=option.target, default=None, help=option.help, **option.attributes)


def root_of(config: pytest.Config) -> Path:
    """Return the root of the project whose claims are run, which follows from the paths that pytest collects.

    Unlike pytest's root directory, it depends neither on the values of options nor on the working directory.

    Raises:
        MemkitError: the paths belong to two locks.
    """
    if _ROOT not in config.stash:
        config.stash[_ROOT] = project_root(path for path, _ in requested_paths(config))
    return config.stash[_ROOT]


def requested_paths(config: pytest.Config) -> list[tuple[Path, bool]]:
    """Return (path, whether all of its tests are collected) for each argument of pytest."""
    here = config.invocation_params.dir
    paths = []
    for argument in config.args:
        name, separator, _ = argument.partition("::")
        path = _package_path(name) if config.option.pyargs else None
        paths.append((path or (here / name).resolve(), not separator))
    return paths


def _package_path(name: str) -> Path | None:
    """Return the path of a package or module with this name, as with ``--pyargs``; None if there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    paths = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])] if spec else []
    return Path(paths[0]).resolve() if paths else None


def config_values(config: pytest.Config) -> dict[str, Any]:
    """Return the value of every option: from the command line, the environment, or the project's ``[tool.memkit]``.

    A relative path is relative to the directory in which pytest was started, or, in ``[tool.memkit]``, to the folder
    of the file.

    Raises:
        MemkitError: ``[tool.memkit]`` has an unknown key, or a value that its option does not accept; or the paths
            that pytest collects belong to two locks.
    """
    file, project = project_values(root_of(config))
    here = config.invocation_params.dir
    values: dict[str, Any] = {}
    for option in OPTIONS:
        if option.dest:
            continue
        value, source = getattr(config.option, option.target, None), option.long
        if value is None and option.environment:
            value, source = os.environ.get(option.environment) or None, option.environment
        folder = here
        if value is None and option.name in project:
            value, folder, source = project[option.name], file.parent, f"{option.name} in [tool.memkit]"
        if value is None:
            value = option.default
        if option.name in _PATHS and value is not None and not (option.name == "store" and is_url(value)):
            value = str(named_path(value, folder, label=source))
        values[option.target.removeprefix("memkit_")] = value
    return values


def data_option(config: pytest.Config) -> str | None:
    """Return the data folder that the command line or the project names, without checking the other options.

    Raises:
        MemkitError: as for :func:`config_values`.
    """
    value: str | None = config.option.memkit_data
    if value is not None:
        return str(named_path(value, config.invocation_params.dir, label="--memkit-data"))
    file, project = project_values(root_of(config))
    return str(named_path(project["data"], file.parent, label="data in [tool.memkit]")) if "data" in project else None


def project_values(root: Path) -> tuple[Path, dict[str, Any]]:
    """Read ``[tool.memkit]`` of the nearest ``pyproject.toml``, in a project's root or above.

    Returns:
        The file and its table of options, option name → value; an empty dict if the file has no such table.

    Raises:
        MemkitError: the table has an unknown key, or a value that its option does not accept.
    """
    file = settings_file(root) or root / "pyproject.toml"
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return file, {}
    if "memkit" not in text:  # saves the time to parse the file in every run of every project
        return file, {}
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get("memkit", {})
    except tomllib.TOMLDecodeError as error:
        raise MemkitError(f"{file} cannot be read: {error}") from None
    where = f"{file}, [tool.memkit]"
    if not isinstance(table, dict):
        raise MemkitError(f"{where} must be a table of options, not {table!r}")
    options = {option.name: option for option in OPTIONS if option.kind is not None}
    if table.pop("aliases", None) is not None:
        from memkit.aliases import project_aliases

        project_aliases(file)  # reports errors in the table before any test is collected
    for name, value in table.items():
        if name not in options:
            raise MemkitError(f"{where}: unknown option {name!r}{suggestion(name, options)}")
        option = options[name]
        assert option.kind is not None
        if type(value) is not option.kind:
            kind = {int: "a number", str: "a string", bool: "true or false"}[option.kind]
            raise MemkitError(f"{where}: {name} = {value!r} must be {kind}")
        choices = _SWEEPS if name == "sweeps" else option.attributes.get("choices")
        if choices and value not in choices:
            raise MemkitError(f"{where}: {name} = {value!r} must be one of {', '.join(map(repr, choices))}")
        if option.kind is int and isinstance(value, int) and not 1 <= value <= MAX_SEEDS:
            raise MemkitError(f"{where}: {name} = {value!r} must be from 1 to {MAX_SEEDS}")
    return file, dict(table)
