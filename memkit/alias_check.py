"""Checks of a project's aliases against its code: each new name must exist, and each old name must not."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from memkit.aliases import Aliases, project_aliases
from memkit.errors import MemkitError


def check_project_aliases(file: Path) -> None:
    """Check that the aliases in a ``pyproject.toml`` name code of its project, and that the old names no longer exist.

    Without this check, an alias could make one function count as another one, and the claims that call it would not get
    a new attempt.

    Raises:
        MemkitError: an alias names code outside the project, a new name does not exist, or an old name still exists.
    """
    table = project_aliases(file)
    for old, new in table.renamed.items():
        _check_new(table, new, file.parent)
        _check_old(table, old, new, file.parent)


def _check_new(table: Aliases, new: str, root: Path) -> None:
    module, _, name = new.partition(":")
    file = _file_of(module, root)
    if file is None:
        raise MemkitError(f"{table.where}: {new} does not exist; {module} is not a module of this project")
    name, _, option = name.rstrip(")").partition("(")
    if name and name not in _bound_in(file):
        raise MemkitError(f"{table.where}: {new} does not exist; {file} does not define {name}")
    if option and option not in _options_in(file, name):
        raise MemkitError(f"{table.where}: {new} does not exist; {name} has no argument {option}")


def _check_old(table: Aliases, old: str, new: str, root: Path) -> None:
    module, _, name = old.partition(":")
    name, _, option = name.rstrip(")").partition("(")
    message = f"{table.where}: {old} still exists, {{}}; remove the old name, or the alias"
    if option:
        new_module, _, new_name = new.partition(":")
        file = _file_of(new_module, root)
        if file is not None and option in _options_in(file, new_name.partition("(")[0]):
            raise MemkitError(message.format(f"in {file}"))
        return
    old_file = _file_of(module, root)
    if name and old_file is None and table.now(module) != module:
        old_file = _file_of(table.now(module), root)
    if old_file is None:
        return
    bound = _bound_in(old_file)
    if name in bound if name else bool(bound):
        raise MemkitError(message.format(f"in {old_file}"))
    if name and {"*", "__getattr__"} & bound:
        raise MemkitError(message.format(f"or may exist: {old_file} has names that its text does not show"))
    package = old_file.parent if old_file.name == "__init__.py" and not name and not new.startswith(f"{old}.") else None
    if package is not None and any(other != old_file for other in package.rglob("*.py")):
        raise MemkitError(message.format(f"in {package}"))


def _file_of(module: str, root: Path) -> Path | None:
    """Return the file of a module below a project's root, or None."""
    folders_below = (Path(path) for path in sys.path if path and Path(path).is_relative_to(root))
    for folder in (root, root / "src", *folders_below):
        path = folder.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def _tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise MemkitError(f"{file}, which an alias names, is not valid Python: {error}") from error


def _bound_in(file: Path) -> set[str]:
    """Return the names that a module binds outside functions and classes; "*" if it has an ``import *``."""
    names = set()
    for node in _module_level(_tree(file)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


def _module_level(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield each node of a module except those within its functions and classes."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _module_level(node)


def _options_in(file: Path, name: str) -> set[str]:
    """Return the arguments of a function in a module; for a class, the arguments of ``__init__`` and the fields."""
    names = set()
    for node in _module_level(_tree(file)):
        if getattr(node, "name", "") != name:
            continue
        body = node.body if isinstance(node, ast.ClassDef) else [node]
        for part in body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                names.add(part.target.id)
            elif isinstance(part, ast.FunctionDef) and part.name in (name, "__init__"):
                arguments = part.args
                named = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
                names |= {argument.arg for argument in named}
    return names - {"self"}
