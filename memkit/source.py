"""Digests of the source code that a trained model or a measurement depends on.

A stored result is reused only while the code behind it is unchanged. The code behind an object is its module and every
module that this one imports, directly or indirectly, if it belongs to the project or to memkit's tasks, memories,
models and trainers. Docstrings, comments and formatting are not part of a digest. Nor are the tests of claims, which
compute nothing that is stored; the digest of a claim covers its test. Code that was moved or renamed keeps its digest
if an alias gives its original name (:mod:`memkit.aliases`).
"""

from __future__ import annotations

import ast
import contextlib
import copy
import enum
import functools
import hashlib
import importlib.util
import inspect
import re
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from memkit.aliases import Aliases, aliases_of, aliases_of_module
from memkit.canonical_code import (
    TYPE_CHECKING,
    Names,
    code_of_function,
    code_of_module,
    imported_from,
    statements,
    text_of,
    without_docstrings,
)
from memkit.errors import MemkitError
from memkit.paths import project_root

_HOME = Path(__file__).parent
MODEL_CODE = ("demo", "memories", "mlx", "models", "tasks", "training")
"""The folders of memkit that weights and measured numbers depend on. All other code decides, reports and schedules."""


def function_digest(function: Callable[..., Any]) -> str:
    """Return the digest of a function, 16 hex digits, without its docstring, comments, layout and memkit's decorators.

    Raises:
        MemkitError: its source cannot be read.
    """
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    file = Path(code.co_filename) if code is not None else None
    if code is not None and file is not None and file.is_file():
        mtime, module = file.stat().st_mtime_ns, str(function.__module__)
        with contextlib.suppress(MemkitError):  # the file may have changed since, so that it is no longer valid Python
            if digest := _definition_digest(file, mtime, module, code.co_name, code.co_firstlineno, aliases_of(file)):
                return digest
    try:
        # For any code that was compiled from a string, Python 3.13 returns the argument of `python -c`.
        if str(file) == "<string>":
            raise OSError("it was compiled from a string")
        source = inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise MemkitError(f"the source of {function!r} cannot be read; define claims in a file") from error
    if source[0].isspace():  # a method; dedenting it would change its multi-line strings
        source = f"if True:\n{source}"
    tree = without_docstrings(ast.parse(source))
    node = tree.body[0].body[0] if isinstance(tree.body[0], ast.If) else tree.body[0]
    return _digest([code_of_function(_without_claim_decorators(node, _CLAIM_DECORATORS), None)])[:16]


@functools.lru_cache(4096)
def _definition_digest(file: Path, mtime: int, module: str, name: str, line: int, aliases: Aliases) -> str:
    """Return the digest of the function that begins on a line of a file; "" if no function of that name does."""
    definition = _definitions(file, mtime).get((name, line))
    if definition is None:
        return ""
    node = _without_claim_decorators(definition, _decorators_in(file, mtime))
    return _digest([code_of_function(node, _names_in(file, mtime, module, aliases))])[:16]


def _without_claim_decorators(node: ast.stmt, names: Collection[str]) -> ast.stmt:
    """Return the definition of a function without the decorators that make claims, which are given by their names."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return node
    node = copy.copy(node)
    node.decorator_list = [decorator for decorator in node.decorator_list if not _is_one_of(decorator, names)]
    return node


@functools.lru_cache(8)
def _definitions(file: Path, mtime: int) -> dict[tuple[str, int], ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return (name, first line) → function, for the functions of a file; lines are counted from 1.

    The result is cached, since a file may contain thousands of claims.
    """
    definitions = {}
    for node in statements(without_docstrings(_parse(file))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            definitions[node.name, first] = node
    return definitions


def source_digest(modules: Iterable[str], files: Iterable[str] = ()) -> str:
    """Return the digest of modules and of every project module that they import, 32 hex digits.

    Args:
        modules: dotted names. These modules are included wherever they are. Among the modules that they import, the
            standard library and installed packages are skipped.
        files: paths of further source files, for files that share a module name, such as conftest.py.
    """
    parts = []
    for name, file in _closure(modules, files).items():
        label, module = (_path_in_project(file), "") if name == str(file) else (aliases_of(file).first(name), name)
        if code := _code(file, module):  # an empty __init__.py has no effect on results
            parts.append(f"{label}\n{code}")
    return _digest(sorted(parts))


def source_files(modules: Iterable[str], files: Iterable[str] = ()) -> list[Path]:
    """Return the files that :func:`source_digest` reads, and the ``__init__.py`` of their packages, sorted."""
    sources: set[Path] = set()
    for name, file in _closure(modules, files).items():
        sources.add(file)
        parts = name.split(".") if name != str(file) else []
        for folder in list(file.parents)[: len(parts) - 1]:
            if (package := folder / "__init__.py").is_file() and package.parent != _HOME:
                sources.add(package)
    return sorted(sources)


@functools.cache
def _path_in_project(file: Path) -> str:
    """Return a file's path within its project, which identifies a conftest.py and does not depend on the machine."""
    return file.relative_to(project_root([file])).as_posix()


def file_digest(file: Path) -> str:
    """Return the digest of one file of code, without its comments, docstrings, layout and claims, 32 hex digits.

    Raises:
        MemkitError: the file is not valid Python.
        OSError: the file cannot be read.
    """
    return _digest([_code(file)])


def acts_on_import(file: Path) -> bool:
    """Return whether importing a file does more than import, define functions and assign literals."""
    return _module(file, file.stat().st_mtime_ns).has_effects


def imported_names(file: Path) -> frozenset[str]:
    """Return the names in the import statements of a file; each part of a dotted name counts as a name."""
    return _names(file, file.stat().st_mtime_ns)


@functools.cache
def _names(file: Path, mtime: int) -> frozenset[str]:
    return frozenset(part for name in _imports("", file, mtime) for part in name.split("."))


def imported_packages(files: Iterable[Path]) -> list[str]:
    """Return the top-level packages that files import, except the standard library, memkit and the project's own."""
    packages = set()
    for file in files:
        mtime = file.stat().st_mtime_ns
        for level, module, names in _module(file, mtime).imports:
            if not level:
                packages |= {name.partition(".")[0] for name in ([module] if module else names)}
        packages |= {name.partition(".")[0] for name in _imported_by_call(file, mtime)}
    return sorted(name for name in packages - sys.stdlib_module_names - {"memkit"} if _file(name) is None)


@functools.cache
def _imported_by_call(file: Path, mtime: int) -> frozenset[str]:
    """Return the modules that a file imports by a call with a literal name, such as ``import_module("name")``."""
    return frozenset(_CALL.findall(file.read_text(encoding="utf-8", errors="replace")))


def reused_claims(files: Iterable[Path]) -> str:
    """Return the digest of the claims' tests that other code in these files uses; "" if there are none.

    :func:`source_digest` omits the tests of claims, so a test that other code calls has to be covered separately.
    """
    files = list(files)
    tests: dict[str, list[str]] = {}
    for file in files:
        for name, code in _module(file, file.stat().st_mtime_ns).claims:
            tests.setdefault(name, []).append(code)
    used = set[str]()
    for file in files if tests else ():
        used |= tests.keys() & _names_used(file, file.stat().st_mtime_ns, tuple(sorted(tests)))
    return _digest([code for name in sorted(used) for code in tests[name]]) if used else ""


@functools.cache
def _names_used(file: Path, mtime: int, names: tuple[str, ...]) -> frozenset[str]:
    """Return the names that the code of a file uses; definitions and a claim's decorators do not count.

    Args:
        names: the names of interest; if the text contains none of them, the result is empty.
    """
    text = file.read_text(encoding="utf-8", errors="replace")
    if not any(text.count(name) > text.count(f"def {name}(") for name in names):
        return frozenset()  # true of nearly all files, and walking through their syntax trees would take long
    tree = _parse(file)
    decorators = _decorators_in(file, mtime)
    used = set[str]()
    for node in tree.body:
        parts: list[ast.stmt] = [node]
        if _is_claim(node, decorators):
            parts = node.body  # type: ignore[attr-defined]
        for part in (inner for below in parts for inner in ast.walk(below)):
            if isinstance(part, (ast.Name, ast.Attribute)):
                used.add(part.id if isinstance(part, ast.Name) else part.attr)
            elif isinstance(part, (ast.Import, ast.ImportFrom)):
                used |= {alias.name for alias in part.names}
    return frozenset(used)


def project_modules(modules: Iterable[str]) -> list[str]:
    """Return the names of the modules that :func:`source_digest` reads, sorted."""
    return sorted(_closure(modules, ()))


def _digest(parts: Iterable[str]) -> str:
    # A file's name may contain bytes that are not valid UTF-8.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _closure(modules: Iterable[str], files: Iterable[str]) -> dict[str, Path]:
    """Return name → file for modules and files, and for everything of the project that they import.

    The name of a module is its dotted name; that of a file that was given by its path is the path.
    """
    closure: dict[str, Path] = {}
    requested = list(modules)
    todo = list(requested)
    for path in files:
        file = Path(path).resolve()
        if file.is_file() and not is_installed(file) and not file.is_relative_to(Path(__file__).parent):
            closure[str(file)] = file
            todo.extend(_imports("", file, file.stat().st_mtime_ns))
    while todo:
        name = todo.pop()
        if name in closure or name == "memkit" or _is_engine_module(name):
            continue
        module_file = _file(name, anywhere=name in requested)
        if module_file is None:
            continue
        mtime = module_file.stat().st_mtime_ns
        if name.startswith("memkit.") and _module(module_file, mtime).lazy:
            continue  # a package that only imports names on demand computes nothing
        closure[name] = module_file
        todo.extend(_imports(name, module_file, mtime))
        todo.extend(_packages_with_effects(name))
    return closure


def _packages_with_effects(name: str) -> list[str]:
    """Return the packages above a module whose ``__init__.py`` runs code that may affect the module.

    An ``__init__.py`` that only imports and assigns literals does not affect it. Code that uses these names imports the
    package itself.
    """
    parts = name.split(".")
    packages = (".".join(parts[:count]) for count in range(1, len(parts)))
    files = ((package, _file(package)) for package in packages)
    existing = ((package, file) for package, file in files if file is not None)
    return [package for package, file in existing if _module(file, file.stat().st_mtime_ns).has_effects]


@functools.cache
def _is_engine_module(name: str) -> bool:
    """Return whether a module belongs to memkit but is not model code."""
    first, *rest = name.split(".")
    return first == "memkit" and bool(rest) and rest[0] not in MODEL_CODE


@functools.cache
def _installed() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple({Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")})


def is_installed(file: Path | str) -> bool:
    """Return whether a file belongs to Python or an installed package, and not to the project."""
    file = Path(file)
    # These names also cover the folders of the user and of the Linux distribution, which sysconfig does not report.
    is_in_packages = bool({"site-packages", "dist-packages"} & set(file.parts))
    return is_in_packages or any(file.is_relative_to(folder) for folder in _installed())


def _file(name: str, *, anywhere: bool = False) -> Path | None:
    """Return the source file of a module; None if the name is not that of a module, or the module is built in.

    Args:
        anywhere: whether the module may belong to an installed package; otherwise the result is None for it.
    """
    module = sys.modules.get(name)
    origin = getattr(module, "__file__", None)
    if module is None:  # not imported yet, for example because the import is inside a function
        spec = _spec(name)
        origin = spec.origin if spec else None
    return _project_file(name, origin, anywhere)


@functools.cache
def _project_file(name: str, origin: str | None, anywhere: bool) -> Path | None:
    if origin is None or not origin.endswith(".py"):
        return None
    file = Path(origin).resolve()
    if not anywhere and name.split(".")[0] != "memkit" and is_installed(file):
        return None
    return file if file.is_file() else None


def _spec(name: str) -> ModuleSpec | None:
    """Return the spec of a module; unlike ``find_spec``, do not import the packages above it."""
    parent = name.rpartition(".")[0]
    if not parent:
        return _spec_in(name, tuple(sys.path))
    parent_spec = getattr(sys.modules.get(parent), "__spec__", None) or _spec(parent)
    folders = parent_spec.submodule_search_locations if parent_spec else None
    return _spec_in(name, tuple(folders)) if folders else None


@functools.cache
def _spec_in(name: str, folders: tuple[str, ...]) -> ModuleSpec | None:
    """Return the spec of a module in the folders of its package, or on ``sys.path``."""
    try:
        return PathFinder.find_spec(name, list(folders)) if "." in name else importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as error:
        raise MemkitError(f"{file}, line {error.lineno}, is not Python: {error.msg}") from error


@dataclass(frozen=True)
class _Module:
    """The imports of a file, and the tests of its claims.

    Attributes:
        imports: (level, module, names) of each import statement: the number of dots, the text after ``from``, and the
            names after ``import``.
        claims: (name, code) of each claim's test.
        lazy: name → module in the package, for a package whose ``__getattr__`` imports on demand.
        has_effects: whether the file does more than import, define functions and assign literals.
    """

    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    claims: tuple[tuple[str, str], ...] = ()
    lazy: Mapping[str, str] = field(default_factory=dict)
    has_effects: bool = False


@functools.cache
def _module(file: Path, mtime: int) -> _Module:
    tree = _parsed(file, mtime)
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    for node in statements(tree, typing=False):
        if isinstance(node, ast.Import):
            imports.append((0, "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    names = _decorators_in(file, mtime)
    claims = [node for node in tree.body if _is_claim(node, names)]
    tests = [node for node in claims if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return _Module(
        tuple(imports),
        tuple((node.name, text_of(ast.Module(list(node.body), []))) for node in tests),
        _lazy(tree),
        any(map(_has_effect, tree.body)),
    )


def _has_effect(node: ast.stmt) -> bool:
    """Return whether a statement does more than import, define a function, assign a literal or be a string."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return False
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return bool(node.decorator_list)
    if isinstance(node, ast.If):
        return ast.unparse(node.test) not in TYPE_CHECKING or any(map(_has_effect, node.orelse))
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.Expr)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        try:
            ast.literal_eval(node.value or ast.Constant(None))
        except (ValueError, TypeError):
            return True
        return not all(target is None or isinstance(target, ast.Name) for target in targets)
    return not isinstance(node, ast.Pass)


def _bound_by(node: ast.stmt) -> set[str]:
    """Return the names that a definition or an assignment binds."""
    parts = (part for target in getattr(node, "targets", ()) for part in ast.walk(target))
    return {getattr(node, "name", ""), *(part.id for part in parts if isinstance(part, ast.Name))}


def _lazy(tree: ast.Module) -> dict[str, str]:
    """Return name → module for the names that a package imports on demand.

    These are the entries of all dicts of strings in a module that defines ``__getattr__``.
    """
    entries: dict[Any, Any] = {}
    if any("__getattr__" in _bound_by(node) for node in tree.body):
        for node in tree.body:
            value = getattr(node, "value", None)
            if isinstance(value, ast.Dict):
                pairs = zip(value.keys, value.values, strict=True)
                entries |= {
                    key.value: module.value
                    for key, module in pairs
                    if isinstance(key, ast.Constant) and isinstance(module, ast.Constant)
                }
    return {name: module for name, module in entries.items() if isinstance(name, str) and isinstance(module, str)}


def _code(file: Path, module: str = "") -> str:
    """Return the canonical code of a file, without the tests of claims.

    Args:
        module: the name of the module; "" if it has none, or shares it with another file.
    """
    return _cached_code(file, file.stat().st_mtime_ns, module, aliases_of(file))


@functools.cache
def _cached_code(file: Path, mtime: int, module: str, aliases: Aliases) -> str:
    tree = _parse(file)
    names = _decorators_in(file, mtime)
    tree.body = [node for node in tree.body if not _is_claim(node, names)]
    return code_of_module(tree, aliases, module=module, package=_package(module, file))


@functools.lru_cache(256)
def _parsed(file: Path, mtime: int) -> ast.Module:
    """Return the syntax tree of a file; callers must not change it."""
    return _parse(file)


@functools.lru_cache(256)
def _names_in(file: Path, mtime: int, module: str, aliases: Aliases) -> Names:
    return Names(_parsed(file, mtime), aliases, module=module, package=_package(module, file))


def _package(module: str, file: Path) -> str:
    """Return the package that a module's relative imports start from."""
    return module if file.name == "__init__.py" else module.rpartition(".")[0]


def callable_digest(function: Any) -> str:
    """Return a digest, 16 hex digits, of the source of an intervention or a figure, and of the values bound to it.

    These are the values in its closure, its defaults, the arguments of a partial function and the attributes of a
    callable object.
    """
    function = inspect.unwrap(function)
    if isinstance(function, functools.partial):
        return _digest(["partial", *map(_described, (function.func, function.args, function.keywords))])[:16]
    if inspect.ismethod(function):
        return _digest(["method", callable_digest(function.__func__), _described(function.__self__)])[:16]
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", type(function).__qualname__)
    parts = [aliases_of_module(module).first(f"{module}:{name}")]
    try:
        parts.append(function_digest(function))
    except (MemkitError, SyntaxError):  # the source of a lambda need not be a complete statement
        try:
            parts.append(inspect.getsource(function))
        except (OSError, TypeError):
            if not inspect.isroutine(function):
                parts.append(_described(function))
    values = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    values += [
        *(getattr(function, "__defaults__", None) or ()),
        *(getattr(function, "__kwdefaults__", None) or {}).items(),
    ]
    return _digest(parts + [_described(value) for value in values])[:16]


def _described(value: Any, depth: int = 8) -> str:
    """Return a description of a value that is the same in every process, so without addresses of objects.

    An object other than a plain value, an array, a container or a callable is described by its class and attributes.

    Args:
        depth: the number of nested levels that are described, which is limited since an object may contain itself.
    """
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if depth == 0 or inspect.ismodule(value):
        return getattr(value, "__name__", kind)
    below = functools.partial(_described, depth=depth - 1)
    if isinstance(value, enum.Enum):
        return f"{kind}.{value.name}"
    if isinstance(value, (str, int, float, complex, bytes, type(None))):
        return repr(value)
    if isinstance(value, dict):
        return f"{kind}{{{','.join(f'{below(key)}:{below(item)}' for key, item in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{kind}{sorted(map(below, value))}"
    if isinstance(value, (tuple, list)):
        return f"{kind}[{','.join(map(below, value))}]"
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if (array := _as_array(value)) is not None:
        return f"{kind} {array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    if inspect.isroutine(value) or isinstance(value, functools.partial):
        return callable_digest(value)
    attributes = getattr(value, "__dict__", {})
    names = [field.name for field in fields(value)] if is_dataclass(value) else sorted(attributes)
    return kind + "".join(f" {name}={below(getattr(value, name))}" for name in names)


def _as_array(value: Any) -> Any:
    """Return an array or a tensor as a NumPy array; None for anything else, and for an array of objects."""
    if hasattr(value, "__array__"):
        import numpy as np  # here, so that a run without claims, which imports this module, does not import NumPy

        with contextlib.suppress(Exception):  # a type that NumPy does not have
            array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
            return array if array.dtype != object else None
    return None


_CALL = re.compile(r"""(?:import_module|importorskip|__import__)\(\s*["']([\w.]+)["']""")
_CLAIM_DECORATORS = ("claim", "multiverse", "mutant", "replicated", "staged", "sweep")


def _is_one_of(decorator: ast.expr, names: Collection[str]) -> bool:
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator) in names


@functools.lru_cache(256)
def _decorators_in(file: Path, mtime: int) -> frozenset[str]:
    """Return the names by which a file refers to memkit's decorators, such as ``claim`` or ``memkit.claim``."""
    names = set[str]()
    for node in statements(_parsed(file, mtime)):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "memkit":
            names |= {alias.asname or alias.name for alias in node.names if alias.name in _CLAIM_DECORATORS}
        elif isinstance(node, ast.Import):
            packages = [alias.asname or alias.name for alias in node.names if alias.name == "memkit"]
            names |= {f"{package}.{decorator}" for package in packages for decorator in _CLAIM_DECORATORS}
    return frozenset(names)


def _is_claim(node: ast.stmt, names: Collection[str]) -> bool:
    """Return whether a statement defines a claim's test that has only memkit's decorators.

    The claim's digest covers such a test. A test with another decorator counts as ordinary code.
    """
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not node.decorator_list:
        return False
    return all(isinstance(d, ast.Call) and _is_one_of(d, names) for d in node.decorator_list)


def _imports(name: str, file: Path, mtime: int) -> list[str]:
    """Return the modules that a module imports, and the names that it imports from them, which may be modules too."""
    imported: list[str] = []
    for base, names in _bases(name, file, mtime):
        if base:
            imported.append(base)
            lazy = _lazy_in(base)
            imported.extend(f"{base}.{lazy[name]}" for name in names if name in lazy)
        for module in (f"{base}.{name}" if base else name for name in names):
            imported.append(module)
            if lazy := _lazy_in(module):
                imported.extend(f"{module}.{lazy[name]}" for name in lazy.keys() & _attributes(file, mtime))
    return imported


def _lazy_in(module: str) -> Mapping[str, str]:
    """Return name → module for the names that a package imports on demand; an empty dict if it is not a package."""
    file = _file(module)
    return _module(file, file.stat().st_mtime_ns).lazy if file is not None and file.name == "__init__.py" else {}


@functools.cache
def _attributes(file: Path, mtime: int) -> frozenset[str]:
    """Return every name that follows a dot in a file."""
    return frozenset(re.findall(r"\.\s*(\w+)", file.read_text(encoding="utf-8", errors="replace")))


@functools.cache
def _bases(name: str, file: Path, mtime: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the modules that a module imports from, each with the names that it imports."""
    package = _package(name, file)
    return tuple(
        (imported_from(ast.ImportFrom(module, [], level), package).lstrip("."), names)
        for level, module, names in _module(file, mtime).imports
    )
