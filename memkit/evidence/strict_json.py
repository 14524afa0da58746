"""Files that anybody may have written, read strictly: evidence, locks, accepted verdicts and promotions.

Whatever a file holds, the answer comes soon and in little memory, if only as a refusal in one sentence. JSON can make
some thirty times its size in Python's objects, so what a text would take is estimated from its punctuation first.
Values are plain and finite, no key stands twice in one object, and nothing is nested deeper than anybody needs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from memkit.checks import is_real, is_whole
from memkit.errors import MemkitError, shown

LARGEST = 100_000_000
"""Bytes of a file."""
MEMORY = 360_000_000
"""Bytes that a file and what is made of it may take at once; with Python and its libraries, half a gigabyte."""
DEEPEST = 64
"""Objects and lists within one another."""
# Bytes that Python takes for what one character of punctuation stands for, at most; as measured in 3.11 to 3.13.
_COSTS = ((b"{", 250), (b"[", 100), (b":", 150), (b",", 50), (b'"', 32))
_CLAIMS = b'\n"claims": [\n'
_END = b"\n]\n}"

_NESTED = frozenset((dict, list))

T = TypeVar("T")


def takes(raw: bytes) -> int:
    """Return how many bytes the objects of a JSON text take in memory, at most."""
    widest = 1 if raw.isascii() else 4 if re.search(rb"[\xf0-\xff]", raw) else 2
    widest = 4 if b"\\u" in raw else widest
    return 2 * widest * len(raw) + sum(cost * raw.count(mark) for mark, cost in _COSTS)


def check_memory(size: int) -> None:
    """Refuse what would take too much.

    Raises:
        MemkitError: it names the limit.
    """
    if size > MEMORY:
        raise MemkitError(
            f"it may take {size // 10**6} MB of memory to read, and {MEMORY // 10**6} MB is the most; split it into "
            "several files"
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
        raise MemkitError(f"it is larger than {LARGEST // 10**6} MB, which is the most that is read")
    return raw


def parse(raw: bytes, beside: int = 0) -> Any:
    """Return what a JSON text holds.

    Args:
        beside: bytes of memory that are in use already.

    Raises:
        MemkitError: it is no JSON, holds a key twice in one object, a number that is not finite or a text that is no
            Unicode, is nested too deeply, or takes too much memory.
    """
    check_memory(beside + takes(raw))
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_not_finite
        )
    except UnicodeDecodeError as error:
        raise MemkitError(f"it is not UTF-8, at byte {error.start}") from None
    except MemkitError:
        raise
    except RecursionError:
        raise MemkitError(f"it is nested deeper than {DEEPEST} levels") from None
    except ValueError as error:  # of json, or of a whole number with thousands of digits
        raise MemkitError(str(error)) from None
    _check_depth(found)
    if b"\\ud" in raw or b"\\uD" in raw:
        try:
            json.dumps(found, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise MemkitError("it holds half of a surrogate pair, which is no text") from None
    return found


def read_json(path: Path) -> Any:
    """Return what a file of JSON holds.

    Raises:
        OSError: it cannot be read.
        MemkitError: as :func:`parse`.
    """
    raw = read_bytes(path)
    return parse(raw, len(raw))


def parts(raw: bytes) -> tuple[Any, int, Iterable[tuple[int, Any]]]:
    """Split an evidence file, so that not all of it is in memory at once.

    Returns:
        The whole, without its claims where they stand on a line each, as they are written; how many claims there are;
        and these, each with the bytes of memory that reading it takes.

    Raises:
        MemkitError: as :func:`parse`; also while the claims are read.
    """
    start = raw.find(_CLAIMS)
    end = raw.rfind(_END)
    if 0 <= start < end and not raw[end + len(_END) :].strip():
        # No text in JSON goes over the end of a line, so where these parts are JSON, so is the whole, and means this.
        first = raw[start + len(_CLAIMS) : end].partition(b"\n")[0].removesuffix(b",")
        head = raw[: start + len(_CLAIMS)] + b"]}"
        if _is_object(first) and isinstance(whole := parse(head, len(raw)), dict):
            begin = start + len(_CLAIMS)
            return whole, raw.count(b"\n", begin, end) + (begin < end), _claims(raw, begin, end)
    whole = parse(raw, len(raw))
    claims, size = whole.get("claims") if isinstance(whole, dict) else None, takes(raw)
    claims = claims if isinstance(claims, list) else []
    return whole, len(claims), ((size, claim) for claim in claims)


def _is_object(line: bytes) -> bool:
    try:
        return not line or isinstance(parse(line), dict)
    except MemkitError:
        return False


def _lines(raw: bytes, start: int, end: int) -> Iterator[bytes]:
    """The lines of a part of the text, but for the commas between them; the first one first, and no list of them."""
    while start < end:
        at = raw.find(b"\n", start, end)
        at = end if at < 0 else at
        line = raw[start:at]
        if at < end:
            if not line.endswith(b","):
                raise MemkitError("the claims are not a list: a comma is missing at the end of a line")
            line = line[:-1]
        yield line
        start = at + 1


def _claims(raw: bytes, start: int, end: int) -> Iterator[tuple[int, Any]]:
    for line in _lines(raw, start, end):
        yield takes(line), parse(line, len(raw))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise MemkitError(f"the key {shown(twice)} stands twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise MemkitError(f"the number {text:.40} is too large")
    return value


def _not_finite(name: str) -> NoReturn:
    raise MemkitError(f"{name} is no number of JSON; write null where a value is not finite")


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
    """Return the value if it is an object of JSON."""
    found: dict[str, Any] = _checked(value, dict, what, "an object")
    return found


def listed(value: Any, what: str, most: int | None = None) -> list[Any]:
    """Return the value if it is a list, of so many at most."""
    found: list[Any] = _checked(value, list, what, "a list")
    if most is not None and len(found) > most:
        raise MemkitError(f"{what} are {len(found)}, and {most} is the most")
    return found


def text(value: Any, what: str) -> str:
    """Return the value if it is a text."""
    found: str = _checked(value, str, what, "a text")
    return found


def flag(value: Any, what: str) -> bool:
    """Return the value if it is true or false."""
    found: bool = _checked(value, bool, what, "true or false")
    return found


def whole(value: Any, what: str, least: int | None = 0) -> int:
    """Return the value if it is a whole number, from ``least`` if there is one, of a size that numbers have."""
    if not is_whole(value, least) or not -(2**63) < value < 2**63:
        beginning = "" if least is None else f" from {least}"
        raise MemkitError(f"{what} must be a whole number{beginning}, not {shown(value)}")
    return value


def number(value: Any, what: str) -> float:
    """Return the value if it is a number."""
    if not is_real(value) or not abs(value) < 1e300:
        raise MemkitError(f"{what} must be a number, not {shown(value)}")
    return float(value)


def texts(value: Any, what: str) -> tuple[str, ...]:
    """Return the texts of a list."""
    return tuple(text(one, what) for one in listed(value, what))


def optional(value: Any, what: str, check: Callable[[Any, str], T]) -> T | None:
    """Return the value if it is null, or what the check makes of it."""
    return None if value is None else check(value, what)


def each(value: Any, what: str, check: Callable[[Any, str], T]) -> dict[str, T]:
    """Return an object whose every value a check has passed."""
    return {name: check(one, f"{what}: {name:.80}") for name, one in mapping(value, what).items()}


def fields(value: Any, what: str, checks: Mapping[str, Callable[[Any, str], Any]], *needed: str) -> dict[str, Any]:
    """Return an object whose values each passed the check of its name; others are left as they are.

    Raises:
        MemkitError: one did not, or one that is needed is missing.
    """
    found = mapping(value, what)
    for name in needed:
        if name not in found:
            raise MemkitError(f"{name!r} is missing in {what}")
    for name, check in checks.items():
        if name in found:
            check(found[name], f"{what}: {name}")
    return found


def seed_of(value: str, what: str) -> int:
    """Return the seed that a key of an object stands for."""
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise MemkitError(f"{what} must be a seed, not {shown(value)}")
    return int(value)


def _checked(value: Any, kind: type[Any], what: str, right: str) -> Any:
    if type(value) is not kind:
        raise MemkitError(f"{what} must be {right}, not {shown(value)}")
    return value
