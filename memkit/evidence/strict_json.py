"""Strict reading of JSON from untrusted sources: evidence, locks, accepted verdicts and promotions.

Whatever a file holds, it is read in bounded time and memory, or refused with one sentence. Python's objects can take
some thirty times the memory of the JSON text, so the memory is first estimated from the punctuation. Numbers must be
finite, no key may occur twice in one object, and the depth of nesting is bounded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from memkit.checks import is_real, is_whole
from memkit.errors import MemkitError, short_repr

LARGEST = 100_000_000
"""The most bytes of a file."""
MEMORY = 360_000_000
"""The most bytes of memory for a file and the objects made from it; half a gigabyte with Python and its libraries."""
DEEPEST = 64
"""The most levels of nested objects and lists."""
# The most bytes of memory that Python needs for each of these characters, as measured in Python 3.11 to 3.13.
_COSTS = ((b"{", 250), (b"[", 100), (b":", 150), (b",", 50), (b'"', 32))
_CLAIMS = b'\n"claims": [\n'
_END = b"\n]\n}"

_NESTED = frozenset((dict, list))

T = TypeVar("T")


def memory_bytes(raw: bytes) -> int:
    """Return an upper limit of the bytes of memory that the objects of a JSON text take."""
    character_bytes = 1 if raw.isascii() else 4 if re.search(rb"[\xf0-\xff]", raw) else 2
    character_bytes = 4 if b"\\u" in raw else character_bytes
    return 2 * character_bytes * len(raw) + sum(cost * raw.count(mark) for mark, cost in _COSTS)


def check_memory(size: int) -> None:
    """Refuse data that would take too much memory to read.

    Args:
        size: bytes of memory.

    Raises:
        MemkitError: ``size`` exceeds the limit, which the message names.
    """
    if size > MEMORY:
        raise MemkitError(
            f"reading it may take {size // 10**6} MB of memory, more than the limit of {MEMORY // 10**6} MB; split it "
            "into several files"
        )


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: it cannot be read.
        MemkitError: it is too large.
    """
    with path.open("rb") as file:
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise MemkitError(f"it is larger than the limit of {LARGEST // 10**6} MB")
    return raw


def parse(raw: bytes, already_used: int = 0) -> Any:
    """Return the value of a JSON text.

    Args:
        already_used: bytes of memory that are in use already.

    Raises:
        MemkitError: it is not JSON, has a key twice in one object, a number that is not finite or a string that is not
            Unicode, is nested too deeply, or takes too much memory.
    """
    check_memory(already_used + memory_bytes(raw))
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_not_finite
        )
    except UnicodeDecodeError as error:
        raise MemkitError(f"it is not UTF-8 at byte {error.start}") from None
    except MemkitError:
        raise
    except RecursionError:
        raise MemkitError(f"it is nested deeper than {DEEPEST} levels") from None
    except ValueError as error:  # from json, or from a whole number with thousands of digits
        raise MemkitError(str(error)) from None
    _check_depth(value)
    if b"\\ud" in raw or b"\\uD" in raw:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise MemkitError("it holds half of a surrogate pair, which is not valid Unicode") from None
    return value


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        OSError: it cannot be read.
        MemkitError: as :func:`parse`.
    """
    raw = read_bytes(path)
    return parse(raw, len(raw))


def split_claims(raw: bytes) -> tuple[Any, int, Iterable[tuple[int, Any]]]:
    """Split an evidence file into its head and its claims, so that not all of it is in memory at once.

    Returns:
        ``(head, count, claims)``: the file without its claims, if each of these is on a line of its own, as memkit
        writes them, else the whole file; the number of claims; and each claim with the bytes of memory that reading it
        takes.

    Raises:
        MemkitError: as :func:`parse`; also while the claims are iterated over.
    """
    start = raw.find(_CLAIMS)
    end = raw.rfind(_END)
    if 0 <= start < end and not raw[end + len(_END) :].strip():
        # A JSON string cannot contain a line break. So if the parts are valid JSON, the file is, with the same meaning.
        first = raw[start + len(_CLAIMS) : end].partition(b"\n")[0].removesuffix(b",")
        head = raw[: start + len(_CLAIMS)] + b"]}"
        if _is_object(first) and isinstance(data := parse(head, len(raw)), dict):
            begin = start + len(_CLAIMS)
            return data, raw.count(b"\n", begin, end) + (begin < end), _claims(raw, begin, end)
    data = parse(raw, len(raw))
    claims, size = data.get("claims") if isinstance(data, dict) else None, memory_bytes(raw)
    claims = claims if isinstance(claims, list) else []
    return data, len(claims), ((size, claim) for claim in claims)


def _is_object(line: bytes) -> bool:
    try:
        return not line or isinstance(parse(line), dict)
    except MemkitError:
        return False


def _lines(raw: bytes, start: int, end: int) -> Iterator[bytes]:
    """Yield the lines of ``raw[start:end]`` one by one, to save memory, without the commas between them."""
    while start < end:
        line_end = raw.find(b"\n", start, end)
        line_end = end if line_end < 0 else line_end
        line = raw[start:line_end]
        if line_end < end:
            if not line.endswith(b","):
                raise MemkitError("the claims are not a list: a comma is missing at the end of a line")
            line = line[:-1]
        yield line
        start = line_end + 1


def _claims(raw: bytes, start: int, end: int) -> Iterator[tuple[int, Any]]:
    for line in _lines(raw, start, end):
        yield memory_bytes(line), parse(line, len(raw))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen = set[str]()
        duplicate = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise MemkitError(f"the key {short_repr(duplicate)} occurs twice in one object")
    return result


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise MemkitError(f"the number {text:.40} is too large")
    return value


def _not_finite(name: str) -> NoReturn:
    raise MemkitError(f"{name} is not a JSON number; write null for a value that is not finite")


def _check_depth(value: Any) -> None:
    level = [value] if type(value) in _NESTED else []
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _NESTED
        ]
    if level:
        raise MemkitError(f"it is nested deeper than {DEEPEST} levels")


# --- types --------------------------------------------------------------------------------------------------------


def mapping(value: Any, what: str) -> dict[str, Any]:
    """Return the value if it is a JSON object."""
    result: dict[str, Any] = _checked(value, dict, what, "an object")
    return result


def listed(value: Any, what: str, most: int | None = None) -> list[Any]:
    """Return the value if it is a list, of at most ``most`` items if that is given."""
    result: list[Any] = _checked(value, list, what, "a list")
    if most is not None and len(result) > most:
        raise MemkitError(f"{what} must hold at most {most} items, not {len(result)}")
    return result


def text(value: Any, what: str) -> str:
    """Return the value if it is a string."""
    result: str = _checked(value, str, what, "a string")
    return result


def flag(value: Any, what: str) -> bool:
    """Return the value if it is true or false."""
    result: bool = _checked(value, bool, what, "true or false")
    return result


def whole(value: Any, what: str, least: int | None = 0) -> int:
    """Return the value if it is a whole number of 64 bits that is not less than ``least``, if that is given."""
    if not is_whole(value, least) or not -(2**63) < value < 2**63:
        beginning = "" if least is None else f" from {least}"
        raise MemkitError(f"{what} must be a whole number{beginning}, not {short_repr(value)}")
    return value


def number(value: Any, what: str) -> float:
    """Return the value as a float if it is a number of magnitude less than 1e300."""
    if not is_real(value) or not abs(value) < 1e300:
        raise MemkitError(f"{what} must be a number, not {short_repr(value)}")
    return float(value)


def texts(value: Any, what: str) -> tuple[str, ...]:
    """Return the items of a list of strings."""
    return tuple(text(item, what) for item in listed(value, what))


def optional(value: Any, what: str, check: Callable[[Any, str], T]) -> T | None:
    """Return None if the value is null, else what the check returns for it."""
    return None if value is None else check(value, what)


def each(value: Any, what: str, check: Callable[[Any, str], T]) -> dict[str, T]:
    """Return an object with every value replaced by what the check returns for it."""
    return {name: check(item, f"{what}: {name:.80}") for name, item in mapping(value, what).items()}


def fields(value: Any, what: str, checks: Mapping[str, Callable[[Any, str], Any]], *needed: str) -> dict[str, Any]:
    """Return an object after checking its fields; fields without a check are not checked.

    Args:
        value: the object.
        what: what the object is, for messages.
        checks: name of a field → its check.
        needed: names of fields that must be present.

    Raises:
        MemkitError: a check fails, or a field that is needed is missing.
    """
    result = mapping(value, what)
    for name in needed:
        if name not in result:
            raise MemkitError(f"{name!r} is missing in {what}")
    for name, check in checks.items():
        if name in result:
            check(result[name], f"{what}: {name}")
    return result


def seed_of(value: str, what: str) -> int:
    """Return a seed that is the key of a JSON object as a number."""
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise MemkitError(f"{what} must be a seed, not {short_repr(value)}")
    return int(value)


def _checked(value: Any, kind: type[Any], what: str, expected: str) -> Any:
    if type(value) is not kind:
        raise MemkitError(f"{what} must be {expected}, not {short_repr(value)}")
    return value
