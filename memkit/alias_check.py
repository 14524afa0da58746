"""A project's aliases held against its code: they are about what is there, and nothing is called by an old name."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from memkit.aliases import Aliases, project_aliases
from memkit.errors import MemkitError


def check_project_aliases(file: Path) -> None:
    """See that the aliases of a ``pyproject.toml`` are about its project's code, and that their old names are gone.

    Otherwise a line could make one function pass for another, with no new attempt at the claims that call it.

    Raises:
        MemkitError: an alias is about code elsewhere, about something that is not there, or its old name still stands
            for something.
    """
    table = project_aliases(file)
    for old, new in table.renamed.items():
        _check_new(table, new, file.parent)
        _check_old(table, old, new, file.parent)


def _check_new(table: Aliases, new: str, root: Path) -> None:
    module, _, name = new.partition(":")
    found = _file_of(module, root)
    if found is None:
        raise MemkitError(f"{table.where}: {new} is not there; {module} is no module of this project")
    name, _, option = name.rstrip(")").partition("(")
    if name and name not in _bound_in(found):
        raise MemkitError(f"{table.where}: {new} is not there; {found} defines no {name}")
    if option and option not in _options_in(found, name):
        raise MemkitError(f"{table.where}: {new} is not there; {name} takes no {option}")


def _check_old(table: Aliases, old: str, new: str, root: Path) -> None:
    module, _, name = old.partition(":")
    name, _, option = name.rstrip(")").partition("(")
    still = f"{table.where}: {old} is still there, {{}}; an alias is for a name that is gone"
    if option:
        owner, _, found = new.partition(":")
        place = _file_of(owner, root)
        if place is not None and option in _options_in(place, found.partition("(")[0]):
            raise MemkitError(still.format(f"in {place}"))
        return
    earlier = _file_of(module, root)
    if name and earlier is None and table.now(module) != module:
        earlier = _file_of(table.now(module), root)
    if earlier is None:
        return
    bound = _bound_in(earlier)
    if name in bound if name else bool(bound):
        raise MemkitError(still.format(f"in {earlier}"))
    if name and {"*", "__getattr__"} & bound:
        raise MemkitError(still.format(f"or may be: {earlier} has names that its text does not show"))
    package = earlier.parent if earlier.name == "__init__.py" and not name and not new.startswith(f"{old}.") else None
    if package is not None and any(other != earlier for other in package.rglob("*.py")):
        raise MemkitError(still.format(f"in {package}"))


def _file_of(module: str, root: Path) -> Path | None:
    """The file of a module below a project's root, if there is one."""
    below = (Path(path) for path in sys.path if path and Path(path).is_relative_to(root))
    for folder in (root, root / "src", *below):
        place = folder.joinpath(*module.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


def _tree(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError, RecursionError) as error:
        raise MemkitError(f"{file}, which an alias is about, is not Python: {error}") from error


def _bound_in(file: Path) -> set[str]:
    """The names that a module binds outside of functions and classes; "*" where it imports all names of another."""
    found = set()
    for node in _of_module(_tree(file)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name)
    return found


def _of_module(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a module but those within its functions and classes."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _of_module(node)


def _options_in(file: Path, name: str) -> set[str]:
    """The arguments that a function of a module takes, or a class: those of ``__init__``, and its fields."""
    found = set()
    for node in _of_module(_tree(file)):
        if getattr(node, "name", "") != name:
            continue
        body = node.body if isinstance(node, ast.ClassDef) else [node]
        for part in body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                found.add(part.target.id)
            elif isinstance(part, ast.FunctionDef) and part.name in (name, "__init__"):
                taken = part.args
                found |= {argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)}
    return found - {"self"}
