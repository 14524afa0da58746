"""The canonical text of code, from which digests are computed; it is the same in every version of Python.

The text omits docstrings, other bare strings, comments and layout, and does not depend on the order of consecutive
import statements. Modules, classes and functions that were moved or renamed appear under their original names
(:mod:`memkit.aliases`). The text lists the nodes of the syntax tree, since the results of ``ast.unparse`` and
``ast.dump`` differ between versions of Python.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any

from memkit.aliases import Aliases

_PARTS = ("body", "orelse", "finalbody", "handlers", "cases")
_IMPORT_FUNCTIONS = ("import_module", "importorskip", "__import__")
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def code_of_module(tree: ast.Module, aliases: Aliases, *, module: str = "", package: str = "") -> str:
    """Return the canonical text of a module; the tree is changed in place.

    Args:
        module: the name of the module, to which the aliases of its definitions refer; "" if it has none.
        package: the package that relative imports start from.
    """
    names = Names(tree, aliases, module=module, package=package)
    tree = _Renamed(names).visit(tree)
    for node in statements(tree):
        for part in _PARTS:
            body = getattr(node, part, None)
            if isinstance(body, list):
                setattr(node, part, list(_ordered(body, names)))
    return text_of(tree) if any(not _is_string(node) for node in tree.body) else ""


def code_of_function(node: ast.stmt, names: Names | None) -> str:
    """Return the source code of a function as Python 3.11 writes it; the lock has digests of this form.

    Args:
        node: the definition, after :func:`without_docstrings`.
        names: the names in the module that defines the function; None if the module is not known.
    """
    if names is not None and names.may_occur_in(node):
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
    """A transformer that replaces each f-string by a name with its text, since Python 3.12 chooses other quotes."""

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
    """Return a syntax tree as text: for each node its type and its non-empty fields.

    Statements that consist of a string are omitted: docstrings, and descriptions of attributes.
    """
    parts: list[str] = []
    _write(tree, parts)
    return "".join(parts)


# The position of a name shows whether it is read or written (ctx). The other fields are comments or string prefixes.
_IGNORED_FIELDS = ("ctx", "kind", "type_comment", "type_ignores")


_PASS = ast.Pass()


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, ast.AST):
        parts.append(f"{type(value).__name__}(")
        for name in value._fields:
            part = getattr(value, name, None)
            if part is None or part == [] or name in _IGNORED_FIELDS:
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
        if isinstance(value, ast.Constant) and joined and isinstance(last := joined[-1], ast.Constant):
            joined[-1] = ast.Constant(str(last.value) + str(value.value))
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
        is_skipped = not typing and isinstance(node, ast.If) and ast.unparse(node.test) in TYPE_CHECKING
        for part in ("orelse",) if is_skipped else _PARTS:
            body = getattr(node, part, ())
            if isinstance(body, list):  # the body of a lambda is not a list
                todo.extend(body)


TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def imported_from(node: ast.ImportFrom, package: str) -> str:
    """Return the module that an import statement imports from, as an absolute name if the package is known."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    if len(parts) < node.level:
        return "." * node.level + (node.module or "")
    return ".".join(filter(None, (*parts[: len(parts) - node.level + 1], node.module)))


class Names:
    """The names in a module: the modules that they refer to, and their original names.

    Attributes:
        renamed: name in the code → original name.
        modules: name → the module that it refers to.
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
            # An original name that is in use for something else is not substituted, so that a swap changes the digest.
            identifiers = _identifiers(tree) if self.renamed else set()
            self.renamed = {name: first for name, first in self.renamed.items() if first not in identifiers}

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
                    first = self.original_import(base, alias.name)[1]
                    if alias.asname is None and first != alias.name:
                        self.renamed[alias.name] = first

    def may_occur_in(self, function: ast.AST) -> bool:
        """Return whether a function may refer to renamed code; a quick test, which may be wrong only if it is True."""
        return any(map(self._may_refer, ast.walk(function)))

    def _may_refer(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            module = self.modules.get(node.id, "")
            return node.id in self.renamed or node.id in self.roots or module in self.aliases.moved
        if isinstance(node, ast.Constant):
            return str(node.value).partition(":")[0] in self.aliases.moved
        return isinstance(node, (ast.Import, ast.ImportFrom))

    def within(self, function: ast.AST) -> Names:
        """Return the names that are visible in a function, which may bind some of them to something else."""
        visible = copy.copy(self)
        bound = _names_bound_in(function)
        visible.renamed = {name: first for name, first in self.renamed.items() if name not in bound}
        visible.modules = {name: module for name, module in self.modules.items() if name not in bound}
        visible.roots = self.roots - bound
        visible.add_imports(function)
        identifiers = _identifiers(function) if visible.renamed else set()
        visible.renamed = {name: first for name, first in visible.renamed.items() if first not in identifiers}
        return visible

    def original_import(self, module: str, name: str) -> tuple[str, str]:
        """Return the original names of a module and of a name that is imported from it."""
        if module.startswith(".") or name == "*":
            return self.aliases.first_dotted(module), name
        first_module, _, first_name = self.aliases.first_dotted(f"{module}.{name}").rpartition(".")
        return first_module, first_name

    def imports(self, node: ast.stmt) -> list[str]:
        """Return one import statement, with the original names, for each name that a statement imports."""
        lines = []
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = self.aliases.first_dotted(alias.name)
                lines.append(f"import {first}" + (f" as {alias.asname}" if alias.asname else ""))
        elif isinstance(node, ast.ImportFrom):
            base = imported_from(node, self.package)
            for alias in node.names:
                module, name = self.original_import(base, alias.name)
                bound = f" as {alias.asname}" if alias.asname not in (None, name) else ""
                lines.append(f"from {module} import {name}{bound}")
        return lines


class _Renamed(ast.NodeTransformer):
    """A transformer that replaces current names by original names.

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
                prefix = f"{self.names.aliases.first_dotted(module)}."
                first = self.names.aliases.first_dotted(f"{module}.{rest}")
                if first.startswith(prefix):
                    root = self.names.renamed.get(root, root)
                    return ast.parse(f"{root}.{first.removeprefix(prefix)}", mode="eval").body
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in _IMPORT_FUNCTIONS and node.args and isinstance(node.args[0], ast.Constant):
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
        if self.defines:  # `_ordered` replaces them later
            return node
        base = imported_from(node, self.names.package) if isinstance(node, ast.ImportFrom) else ""
        as_written = Names(ast.Module([], []), Aliases({}), module="", package=self.names.package).imports(node)
        if base.startswith(".") or self.names.imports(node) == as_written:
            return node
        return [ast.parse(line).body[0] for line in self.names.imports(node)]


def _ordered(body: list[ast.stmt], names: Names) -> Iterator[ast.stmt]:
    """Yield statements, with consecutive imports sorted and split into one for each name."""
    consecutive: list[ast.Import | ast.ImportFrom] = []
    for node in [*body, None]:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            consecutive.append(node)
            continue
        lines = [line for statement in consecutive for line in names.imports(statement)]
        bound = [name for statement in consecutive for name in _bound(statement)]
        # If several imports bind the same name, or one is `import *`, their order matters: the last one wins.
        ordered = lines if "*" in bound or len(set(bound)) < len(bound) else sorted(lines)
        for line in dict.fromkeys(ordered):
            yield from ast.parse(line).body
        consecutive.clear()
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
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


def _names_bound_in(function: ast.AST) -> set[str]:
    """Return the names that are bound within a function, except by imports."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
    return names
