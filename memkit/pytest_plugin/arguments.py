"""The arguments of the command line: which of them are options of memkit, and which are paths.

pytest determines its root directory, its ini file and the initial conftests from the arguments that look like paths,
and it does so before it knows what options plugins have. The folder in ``--store folder`` would count as a path there.
A conftest, in turn, may want an option of that name for itself, which is known only after the initial conftests are
loaded. So this happens, in this order:

1. A value that follows the name of an option is joined with it: ``--store folder`` becomes ``--store=folder``.
2. Where pytest took such a value for a path, the root directory and the ini file are determined again.
3. pytest loads the initial conftests.
4. Names that are free get added as short names. Names that somebody else has are theirs: what was joined is parted
   again, and the conftests that pytest would have loaded then are loaded.
"""

from __future__ import annotations

import argparse
import copy
import inspect
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.pytest_plugin.options import OPTIONS, WITH_SHORT_NAMES, Option, project_values, root_of

FOREIGN = pytest.StashKey[tuple[Option, ...]]()
"""The options whose short names stand on the command line and belong to somebody else."""


@contextmanager
def short_names(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> Iterator[None]:
    """Add the short names around the loading of the initial conftests.

    Args:
        arguments: the command line, with what the environment and the ini file add to it; changed in place.
    """
    taken = _names(parser)
    ours = {option.long: option for option in OPTIONS}
    ours |= {option.short: option for option in WITH_SHORT_NAMES if option.short not in taken}
    before = _with_files(arguments)
    joined = join(before, ours)
    if joined != before:
        before = _determine_root_again(config, parser, before, ours)
        joined = join(before, ours)
        arguments[:] = joined
        _parse_known(config, parser, arguments)
    yield
    taken = _names(parser)
    free = [option for option in WITH_SHORT_NAMES if option.short not in taken]
    ours = {option.long: option for option in OPTIONS} | {option.short: option for option in free}
    parted = join(before, ours)
    if parted != joined:
        arguments[:] = join(_determine_root_again(config, parser, before, ours), ours)
        _parse_known(config, parser, arguments)
        config.pytest_load_initial_conftests(config)  # those that are loaded stay so
    for option in free:
        parser.getgroup("memkit").addoption(
            option.short, dest=option.target, default=None, help=argparse.SUPPRESS, **option.attributes
        )
    given = {argument.partition("=")[0] for argument in _before_dashes(parted)}
    config.stash[FOREIGN] = tuple(o for o in WITH_SHORT_NAMES if o.short in given and o not in free)


def join(arguments: Sequence[str], ours: dict[str, Option]) -> list[str]:
    """Return the arguments with each value joined to the option that it follows: ``--store=folder``."""
    joined: list[str] = []
    rest = list(_before_dashes(arguments))
    after = list(arguments[len(rest) :])
    while rest:
        argument = rest.pop(0)
        option = ours.get(argument)
        if option is not None and option.takes_value and rest and not rest[0].startswith("-"):
            argument = f"{argument}={rest.pop(0)}"
        joined.append(argument)
    return joined + after


def check_foreign(config: pytest.Config) -> None:
    """See that no option on the command line was meant for memkit, and went to somebody else.

    Raises:
        MemkitError: it did, and memkit's own option says nothing to the contrary.
    """
    _, project = project_values(root_of(config))
    for option in config.stash.get(FOREIGN, ()):
        given = getattr(config.option, option.target, None) is not None
        if not given and option.name not in project and not os.environ.get(option.environment or "-"):
            value = "..." if option.takes_value else "false"
            raise MemkitError(
                f"{option.short} belongs to another plugin or to a conftest, so memkit does not hear of it; "
                f"write {option.long} for the claims, or {option.name} = {value} in [tool.memkit]"
            )


def release_short_names(config: pytest.Config) -> None:
    """Let conftests that are loaded later, in the folders of tests, add options by memkit's short names.

    pytest accepts such options only where it loads their conftest at once, but it lets every conftest add them.
    """
    known = getattr(getattr(config._parser, "optparser", None), "_option_string_actions", {})
    for option in WITH_SHORT_NAMES:
        action = known.get(option.short)
        if action is not None and action.dest == option.target:
            del known[option.short]


def _with_files(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with those of ``@file`` in its place, one per line, as argparse reads them."""
    found: list[str] = []
    for argument in arguments:
        try:
            text = Path(argument[1:]).read_text(encoding="utf-8") if argument.startswith("@") else None
        except (OSError, UnicodeDecodeError):
            text = None  # argparse says what is wrong with it
        found += [argument] if text is None else _with_files(text.splitlines())
    return found


def _before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _names(parser: Any) -> set[str]:
    """The names of all options that pytest, its plugins and conftests have added."""
    groups = (parser._anonymous, *parser._groups)
    return {name for group in groups for option in group.options for name in option.names()}


def _parse_known(config: pytest.Config, parser: pytest.Parser, arguments: Sequence[str]) -> None:
    """Let pytest know the arguments by what it knows of options now, which is what it loads initial conftests by."""
    before = config.known_args_namespace
    config.known_args_namespace = parser.parse_known_args(arguments, namespace=copy.copy(config.option))
    config.known_args_namespace.confcutdir = config.known_args_namespace.confcutdir or before.confcutdir


def _determine_root_again(
    config: Any, parser: pytest.Parser, arguments: list[str], ours: dict[str, Option]
) -> list[str]:
    """Determine the root directory and the ini file again, now that it is known which arguments are paths.

    pytest has no interface for this, so its attributes are set as ``Config.parse`` sets them, and only where the
    outcome differs.

    Args:
        arguments: before values were joined with the options that they follow.

    Returns:
        The arguments, with what the right ini file adds to them in the place of what the wrong one did.
    """
    from _pytest.config.findpaths import determine_setup

    known = parser.parse_known_args(join(arguments, ours), namespace=copy.copy(config.option))
    asked = {
        "inifile": known.inifilename,
        "override_ini": known.override_ini,
        "args": known.file_or_dir,
        "rootdir_cmd_arg": known.rootdir or None,
        "invocation_dir": config.invocation_params.dir,
    }
    parameters = inspect.signature(determine_setup).parameters  # `override_ini` came with pytest 8.4
    root, file, values, *ignored = determine_setup(**{name: asked[name] for name in parameters})
    if (root, file) == (config.rootpath, config.inipath):
        return arguments
    old = list(config.getini("addopts"))
    for path in config.getini("pythonpath"):
        if str(path) in sys.path:
            sys.path.remove(str(path))
    config._rootpath, config._inipath = root, file
    setattr(config, "_inicfg" if hasattr(config, "_inicfg") else "inicfg", values)
    if ignored and hasattr(config, "_ignored_config_files"):
        config._ignored_config_files = ignored[0]
    config._inicache.clear()
    parser.extra_info["rootdir"], parser.extra_info["inifile"] = str(root), str(file)
    sys.path[:0] = map(str, config.getini("pythonpath"))
    new = list(config.getini("addopts"))
    if arguments[: len(old)] == old:
        arguments = [*new, *arguments[len(old) :]]
        config.pluginmanager.consider_preparse(new, exclude_only=False)
    hook: Any = getattr(config.pluginmanager, "rewrite_hook", None)
    if hasattr(hook, "fnpats"):
        hook.fnpats = config.getini("python_files")
    config.known_args_namespace.confcutdir = known.confcutdir or str(root if file is None else file.parent)
    return arguments
