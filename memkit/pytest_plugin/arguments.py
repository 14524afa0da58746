"""The command-line arguments: which of them are options of memkit, and which are paths.

pytest determines its root directory, its ini file and the initial conftests from the arguments that look like paths,
before it knows the options of plugins. In ``--store folder``, it would take the folder for a path to collect. A
conftest, in turn, may define an option ``--store`` of its own, which is known only after the initial conftests are
loaded. The arguments are therefore processed in this order:

1. A value that follows the name of an option is joined to it: ``--store folder`` becomes ``--store=folder``.
2. Where pytest took such a value for a path, the root directory and the ini file are determined again.
3. pytest loads the initial conftests.
4. Short names that are still free are added. If another plugin or a conftest has a name, the values that were joined to
   it are separated again, and the conftests that pytest would then have loaded are loaded.
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

FOREIGN_OPTIONS = pytest.StashKey[tuple[Option, ...]]()
"""The options whose short names are on the command line but belong to another plugin or a conftest."""


@contextmanager
def short_names(config: pytest.Config, parser: pytest.Parser, arguments: list[str]) -> Iterator[None]:
    """Add the short names, in a context in which pytest loads the initial conftests.

    Args:
        arguments: the command line with the additions of the environment and the ini file; changed in place.
    """
    used_names = _option_names(parser)
    by_name = {option.long: option for option in OPTIONS}
    by_name |= {option.short: option for option in WITH_SHORT_NAMES if option.short not in used_names}
    separate = _expand_argument_files(arguments)
    joined = join_values(separate, by_name)
    if joined != separate:
        separate = _redetermine_root(config, parser, separate, by_name)
        joined = join_values(separate, by_name)
        arguments[:] = joined
        _parse_known(config, parser, arguments)
    yield
    used_names = _option_names(parser)
    available = [option for option in WITH_SHORT_NAMES if option.short not in used_names]
    by_name = {option.long: option for option in OPTIONS} | {option.short: option for option in available}
    rejoined = join_values(separate, by_name)
    if rejoined != joined:
        arguments[:] = join_values(_redetermine_root(config, parser, separate, by_name), by_name)
        _parse_known(config, parser, arguments)
        config.pytest_load_initial_conftests(config)  # conftests that were loaded before stay loaded
    for option in available:
        parser.getgroup("memkit").addoption(
            option.short, dest=option.target, default=None, help=argparse.SUPPRESS, **option.attributes
        )
    given_names = {argument.partition("=")[0] for argument in _before_double_dash(rejoined)}
    config.stash[FOREIGN_OPTIONS] = tuple(
        option for option in WITH_SHORT_NAMES if option.short in given_names and option not in available
    )


def join_values(arguments: Sequence[str], by_name: dict[str, Option]) -> list[str]:
    """Return the arguments with each value joined to its option, as in ``--store=folder``.

    Args:
        by_name: option name as on the command line → option; the values of other options stay separate.
    """
    joined: list[str] = []
    rest = list(_before_double_dash(arguments))
    after = list(arguments[len(rest) :])
    while rest:
        argument = rest.pop(0)
        option = by_name.get(argument)
        if option is not None and option.takes_value and rest and not rest[0].startswith("-"):
            argument = f"{argument}={rest.pop(0)}"
        joined.append(argument)
    return joined + after


def check_foreign_options(config: pytest.Config) -> None:
    """Check that no short name on the command line was meant for memkit but belongs to another plugin or a conftest.

    Raises:
        MemkitError: there is such a name, and memkit's own option has no value.
    """
    _, project = project_values(root_of(config))
    for option in config.stash.get(FOREIGN_OPTIONS, ()):
        has_value = getattr(config.option, option.target, None) is not None
        if not has_value and option.name not in project and not os.environ.get(option.environment or "-"):
            value = "..." if option.takes_value else "false"
            raise MemkitError(
                f"{option.short} belongs to another plugin or to a conftest, so memkit does not receive it; "
                f"write {option.long} for the claims, or {option.name} = {value} in [tool.memkit]"
            )


def release_short_names(config: pytest.Config) -> None:
    """Release the short names, so that conftests in the folders of tests may add options with the same names.

    pytest accepts the options of these conftests on the command line only if it loads the conftests at startup, but it
    lets every conftest add options.
    """
    actions = getattr(getattr(config._parser, "optparser", None), "_option_string_actions", {})
    for option in WITH_SHORT_NAMES:
        action = actions.get(option.short)
        if action is not None and action.dest == option.target:
            del actions[option.short]


def _expand_argument_files(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with each ``@file`` replaced by the lines of the file, as argparse does."""
    expanded: list[str] = []
    for argument in arguments:
        try:
            text = Path(argument[1:]).read_text(encoding="utf-8") if argument.startswith("@") else None
        except (OSError, UnicodeDecodeError):
            text = None  # argparse reports the error
        expanded += [argument] if text is None else _expand_argument_files(text.splitlines())
    return expanded


def _before_double_dash(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _option_names(parser: Any) -> set[str]:
    """Return the names of all options that pytest, its plugins and conftests have added."""
    groups = (parser._anonymous, *parser._groups)
    return {name for group in groups for option in group.options for name in option.names()}


def _parse_known(config: pytest.Config, parser: pytest.Parser, arguments: Sequence[str]) -> None:
    """Let pytest parse the arguments with the options known so far; the result determines the initial conftests."""
    before = config.known_args_namespace
    config.known_args_namespace = parser.parse_known_args(arguments, namespace=copy.copy(config.option))
    config.known_args_namespace.confcutdir = config.known_args_namespace.confcutdir or before.confcutdir


def _redetermine_root(
    config: Any, parser: pytest.Parser, arguments: list[str], by_name: dict[str, Option]
) -> list[str]:
    """Determine the root directory and the ini file again, now that it is known which arguments are paths.

    pytest has no interface for this, so its attributes are set as ``Config.parse`` sets them, and only if the
    result differs.

    Args:
        arguments: the arguments before values were joined to their options.
        by_name: option name as on the command line → option.

    Returns:
        The arguments, in which the ``addopts`` of the right ini file replace those of the wrong one.
    """
    from _pytest.config.findpaths import determine_setup

    known = parser.parse_known_args(join_values(arguments, by_name), namespace=copy.copy(config.option))
    possible_arguments = {
        "inifile": known.inifilename,
        "override_ini": known.override_ini,
        "args": known.file_or_dir,
        "rootdir_cmd_arg": known.rootdir or None,
        "invocation_dir": config.invocation_params.dir,
    }
    parameters = inspect.signature(determine_setup).parameters  # `override_ini` exists since pytest 8.4
    root, file, values, *ignored = determine_setup(**{name: possible_arguments[name] for name in parameters})
    if (root, file) == (config.rootpath, config.inipath):
        return arguments
    old_addopts = list(config.getini("addopts"))
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
    new_addopts = list(config.getini("addopts"))
    if arguments[: len(old_addopts)] == old_addopts:
        arguments = [*new_addopts, *arguments[len(old_addopts) :]]
        config.pluginmanager.consider_preparse(new_addopts, exclude_only=False)
    hook: Any = getattr(config.pluginmanager, "rewrite_hook", None)
    if hasattr(hook, "fnpats"):
        hook.fnpats = config.getini("python_files")
    config.known_args_namespace.confcutdir = known.confcutdir or str(root if file is None else file.parent)
    return arguments
