"""The canonical text of code, of which digests are taken: the same for the same calculation on every Python.

Docstrings, other bare strings, comments and layout are left out, and so is the order of consecutive import statements.
Modules, classes and functions that were moved or renamed stand under their first names (:mod:`memkit.aliases`). The
text lists the nodes of the syntax tree: Python's own ``ast.unparse`` and ``ast.dump`` differ between versions.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any

from memkit.aliases import Aliases

_PARTS = ("body", "orelse", "finalbody", "handlers", "cases")
_BY_CALL = ("import_module", "importorskip", "__import__")
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def code_of_module(tree: ast.Module, aliases: Aliases, *, module: str = "", package: str = "") -> str:
    """Return the code of a module; its tree is changed.

    Args:
        module: the name of the module, of which the aliases of its definitions are made; "" where it has none.
        package: the package that relative imports start from.
    """
    names = Names(tree, aliases, module=module, package=package)
    tree = _Renamed(names).visit(tree)
    for node in statements(tree):
        for part in _PARTS:
            below = getattr(node, part, None)
            if isinstance(below, list):
                setattr(node, part, list(_ordered(below, names)))
    return text_of(tree) if any(not _is_string(node) for node in tree.body) else ""


def code_of_function(node: ast.stmt, names: Names | None) -> str:
    """Return the code of a function, as Python 3.11 writes it out; the lock has digests of this form.

    Args:
        node: the definition, which :func:`without_docstrings` has been applied to.
        names: the names in the module that defines it; None where it is not known.
    """
    if names is not None and names.may_be_in(node):
        function = ast.Module([copy.deepcopy(node)], [])
        node = _Renamed(names.within(function), defines=False).visit(function)
    if any(isinstance(part, ast.JoinedStr) for part in ast.walk(node)):
        node = _FStringsAsNames().visit(copy.deepcopy(node))
    return ast.unparse(node)


def without_docstrings(tree: ast.Module) -> ast.Module:
    """Remove the docstrings from a tree, and return it."""
    for node in statements(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return tree


class _FStringsAsNames(ast.NodeTransformer):
    """Replaces each f-string by a name that is its text, since Python 3.12 chooses other quotes than 3.11."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        parts = [self._part(value) for value in node.values]
        quote = next((quote for quote in ("'", '"', '"""', "'''") if not any(quote in part for part in parts)), "'")
        return ast.Name(f"f{quote}{''.join(parts)}{quote}")

    def _part(self, value: ast.expr) -> str:
        if isinstance(value, ast.Constant):
            text = str(value.value).replace("{", "{{").replace("}", "}}")
            return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode() for c in text)
        if isinstance(value, ast.FormattedValue):
            expression = ast.unparse(self.visit(value.value))
            space = " " if expression.startswith("{") else ""
            conversion = f"!{chr(value.conversion)}" if value.conversion != -1 else ""
            spec = value.format_spec
            return f"{{{space}{expression}{conversion}{':' + self._spec(spec) if spec is not None else ''}}}"
        return ast.unparse(self.visit(value))

    def _spec(self, spec: ast.expr) -> str:
        return "".join(map(self._part, spec.values)) if isinstance(spec, ast.JoinedStr) else self._part(spec)


def text_of(tree: ast.AST) -> str:
    """Return a syntax tree as text: each node's type, and those of its fields that are not empty.

    Statements that are only a string are left out: docstrings, and what describes an attribute.
    """
    parts: list[str] = []
    _write(tree, parts)
    return "".join(parts)


# Whether a name is read or written follows from its place; the others are comments or prefixes of strings.
_SKIPPED = ("ctx", "kind", "type_comment", "type_ignores")


_PASS = ast.Pass()


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, ast.AST):
        parts.append(f"{type(value).__name__}(")
        for name in value._fields:
            part = getattr(value, name, None)
            if part is None or part == [] or name in _SKIPPED:
                continue
            parts.append(f"{name}=")
            if name in _PARTS and isinstance(part, list):
                part = [statement for statement in part if not _is_string(statement)] or [_PASS]
            elif isinstance(value, ast.JoinedStr):
                part = _joined(part)
            _write(part, parts)
            parts.append(",")
        parts.append(")")
    elif isinstance(value, list):
        parts.append("[")
        for item in value:
            _write(item, parts)
            parts.append(",")
        parts.append("]")
    else:
        parts.append(repr(value))


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Return the parts of an f-string with adjacent constants joined; Python's versions split them differently."""
    joined: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and joined and isinstance(before := joined[-1], ast.Constant):
            joined[-1] = ast.Constant(str(before.value) + str(value.value))
        elif not (isinstance(value, ast.Constant) and value.value == ""):
            joined.append(value)
    return joined


def statements(tree: ast.AST, *, typing: bool = True) -> Iterator[ast.AST]:
    """Yield a tree and every statement in it; without ``typing``, skip those under ``if TYPE_CHECKING:``."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        # The body of `if TYPE_CHECKING:` never runs.
        unused = not typing and isinstance(node, ast.If) and ast.unparse(node.test) in TYPE_CHECKING
        for part in ("orelse",) if unused else _PARTS:
            below = getattr(node, part, ())
            if isinstance(below, list):  # a lambda's body is none
                todo.extend(below)


TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def imported_from(node: ast.ImportFrom, package: str) -> str:
    """Return the module that an import statement imports from, as an absolute name where it is known."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    if len(parts) < node.level:
        return "." * node.level + (node.module or "")
    return ".".join(filter(None, (*parts[: len(parts) - node.level + 1], node.module)))


class Names:
    """The names in a module: the modules that they stand for, and their first names.

    Attributes:
        renamed: name as it is written → first name.
        modules: name → the module that it stands for.
        roots: the first parts of the dotted names that ``import`` statements bind.
    """

    def __init__(self, tree: ast.Module, aliases: Aliases, *, module: str, package: str) -> None:
        self.aliases = aliases
        self.package = package
        self.renamed: dict[str, str] = {}
        self.modules: dict[str, str] = {}
        self.roots: set[str] = set()
        if aliases.new_names:
            self.add_imports(tree)
            for name in _defined(tree) if module else ():
                first = aliases.first(f"{module}:{name}").partition(":")[2]
                if first != name:
                    self.renamed[name] = first
            # Where the first name is in use for something else, a swap of the two must show.
            taken = _identifiers(tree) if self.renamed else set()
            self.renamed = {name: first for name, first in self.renamed.items() if first not in taken}

    def add_imports(self, tree: ast.AST) -> None:
        """Add the names that import statements bind."""
        for node in statements(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        self.modules[alias.asname] = alias.name
                    else:
                        self.roots.add(alias.name.partition(".")[0])
            elif isinstance(node, ast.ImportFrom):
                base = imported_from(node, self.package)
                for alias in node.names:
                    self.modules[alias.asname or alias.name] = f"{base}.{alias.name}"
                    first = self.from_first(base, alias.name)[1]
                    if alias.asname is None and first != alias.name:
                        self.renamed[alias.name] = first

    def may_be_in(self, function: ast.AST) -> bool:
        """Return whether anything in a function may have had another name; a quick test."""
        return any(map(self._may_be, ast.walk(function)))

    def _may_be(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            module = self.modules.get(node.id, "")
            return node.id in self.renamed or node.id in self.roots or module in self.aliases.moved
        if isinstance(node, ast.Constant):
            return str(node.value).partition(":")[0] in self.aliases.moved
        return isinstance(node, (ast.Import, ast.ImportFrom))

    def within(self, function: ast.AST) -> Names:
        """Return the names that stand for the same in a function, which may bind some of them itself."""
        found = copy.copy(self)
        bound = _own_names(function)
        found.renamed = {name: first for name, first in self.renamed.items() if name not in bound}
        found.modules = {name: module for name, module in self.modules.items() if name not in bound}
        found.roots = self.roots - bound
        found.add_imports(function)
        taken = _identifiers(function) if found.renamed else set()
        found.renamed = {name: first for name, first in found.renamed.items() if first not in taken}
        return found

    def from_first(self, module: str, name: str) -> tuple[str, str]:
        """Return the first names of a module and of something that is imported from it."""
        if module.startswith(".") or name == "*":
            return self.aliases.first_dotted(module), name
        found, _, last = self.aliases.first_dotted(f"{module}.{name}").rpartition(".")
        return found, last

    def imports(self, node: ast.stmt) -> list[str]:
        """Return one import statement for each name that a statement imports."""
        found = []
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = self.aliases.first_dotted(alias.name)
                found.append(f"import {first}" + (f" as {alias.asname}" if alias.asname else ""))
        elif isinstance(node, ast.ImportFrom):
            base = imported_from(node, self.package)
            for alias in node.names:
                module, name = self.from_first(base, alias.name)
                bound = f" as {alias.asname}" if alias.asname not in (None, name) else ""
                found.append(f"from {module} import {name}{bound}")
        return found


class _Renamed(ast.NodeTransformer):
    """Replaces present names by first names.

    Args:
        defines: whether the names of definitions are replaced, too.
    """

    def __init__(self, names: Names, *, defines: bool = True) -> None:
        self.names = names
        self.defines = defines

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.names.renamed.get(node.id, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        dotted = _dotted(node)
        if dotted is not None:
            root, _, rest = dotted.partition(".")
            if root in self.names.roots and (first := self.names.aliases.first_dotted(dotted)) != dotted:
                return ast.parse(first, mode="eval").body
            if (module := self.names.modules.get(root)) is not None:
                before = f"{self.names.aliases.first_dotted(module)}."
                first = self.names.aliases.first_dotted(f"{module}.{rest}")
                if first.startswith(before):
                    root = self.names.renamed.get(root, root)
                    return ast.parse(f"{root}.{first.removeprefix(before)}", mode="eval").body
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in _BY_CALL and node.args and isinstance(node.args[0], ast.Constant):
            name = node.args[0].value
            if isinstance(name, str):
                node.args[0].value = self.names.aliases.first(name)
        self.generic_visit(node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and node.value.partition(".")[0].isidentifier() and ":" in node.value:
            node.value = self.names.aliases.first(node.value)
        return node

    def visit_Import(self, node: ast.Import) -> Any:
        return self._import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        return self._import(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._define(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._define(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._define(node)

    def _define(self, node: _Definition) -> ast.AST:
        if self.defines:
            node.name = self.names.renamed.get(node.name, node.name)
        self.generic_visit(node)
        return node

    def _import(self, node: ast.Import | ast.ImportFrom) -> Any:
        if self.defines:  # they are put in order later
            return node
        base = imported_from(node, self.names.package) if isinstance(node, ast.ImportFrom) else ""
        as_written = Names(ast.Module([], []), Aliases({}), module="", package=self.names.package).imports(node)
        if base.startswith(".") or self.names.imports(node) == as_written:
            return node
        return [ast.parse(line).body[0] for line in self.names.imports(node)]


def _ordered(body: list[ast.stmt], names: Names) -> Iterator[ast.stmt]:
    """Yield statements, with consecutive imports sorted and split into one for each name."""
    run: list[ast.Import | ast.ImportFrom] = []
    for node in [*body, None]:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            run.append(node)
            continue
        lines = [line for statement in run for line in names.imports(statement)]
        bound = [name for statement in run for name in _bound(statement)]
        # Of imports of one name, and of those of all names, the last one counts.
        ordered = lines if "*" in bound or len(set(bound)) < len(bound) else sorted(lines)
        for line in dict.fromkeys(ordered):
            yield from ast.parse(line).body
        run.clear()
        if node is not None:
            yield node


def _bound(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the names that an import statement binds; for ``import a.b`` the whole dotted name."""
    return [alias.asname or alias.name for alias in node.names]


def _dotted(node: ast.expr) -> str | None:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _defined(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module's top-level statements define."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _identifiers(tree: ast.AST) -> set[str]:
    """Return every name in a tree: of variables, arguments, attributes, definitions and imports."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name)
    return found


def _own_names(function: ast.AST) -> set[str]:
    """Return the names that are bound within a function, except by imports."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found
