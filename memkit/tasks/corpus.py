"""Text to learn a language from, and its tokens.

    topics        what Python's own help has to say, some 450,000 characters: every Python brings it along, each its own
    shakespeare   tiny Shakespeare, 1,115,394 characters: `tinyshakespeare.txt` in the data root (``MEMKIT_DATA``)

A corpus is split in two: models learn from its beginning, and are looked at on its end. Its text becomes tokens by
characters, or by words: frequent words are a token each, and others are spelt, so that any text can be told.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias

import torch
from torch import Tensor

from memkit.errors import MemkitError, nearest
from memkit.tasks.images.datasets import data_root


class Source(NamedTuple):
    """The source of a corpus: a file in the data root and its known properties, or nothing if it comes with Python."""

    file: str = ""
    address: str = ""
    characters: int = 0
    sha256: str = ""


SOURCES = {
    "topics": Source(),
    "shakespeare": Source(
        "tinyshakespeare.txt",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        1_115_394,
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}

Part: TypeAlias = Literal["train", "held out"]
HELD_OUT = 0.1
"""The share of a corpus, at its end, that no model learns from."""


def source(name: str) -> Source:
    """Return the source of a corpus.

    Raises:
        MemkitError: there is no corpus of that name.
    """
    if name not in SOURCES:
        raise MemkitError(f"there is no corpus {name!r}{nearest(name, SOURCES)}")
    return SOURCES[name]


def missing(name: str, root: Path | None = None) -> str:
    """Return one sentence on how to get a corpus that is not on this machine; "" where it is.

    Args:
        root: the data root, if not ``MEMKIT_DATA``.
    """
    file, root = source(name).file, root or data_root()
    if not file:
        return ""
    if root is None:
        return (
            f"the corpus {name} is not at hand: name the folder that holds {file} with --data DIR or MEMKIT_DATA, or "
            f"download it with `memkit data get {name} --to DIR`"
        )
    if not (root / file).is_file():
        return (
            f"the corpus {name} is not in {root}: there is no {file}; give another folder with --data DIR or "
            f"MEMKIT_DATA, or download it with `memkit data get {name} --to {root}`"
        )
    return ""


def text(name: str, root: Path | None = None) -> str:
    """The text of a corpus, which is read once a process.

    Raises:
        MemkitError: there is none of that name, it is missing, or the file is not what was published.
    """
    if sentence := missing(name, root):
        raise MemkitError(sentence)
    return _text(name, root or data_root())


@functools.cache
def _text(name: str, root: Path | None) -> str:
    found = source(name)
    if not found.file or root is None:
        return _topics()
    content = (root / found.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != found.sha256:
        raise MemkitError(
            f"{root / found.file} is not the file that was published, by its SHA-256; download it again with `memkit "
            f"data get {name} --to {root}`"
        )
    return content.decode()


def _topics() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def checksum(name: str) -> str:
    """SHA-256 of the text, 64 hex digits; known without the data, or, of Python's own, with the Python at hand."""
    return source(name).sha256 or hashlib.sha256(text(name).encode()).hexdigest()


class Tokens(Protocol):
    """A vocabulary, which turns text into tokens and back."""

    names: tuple[str, ...]

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: Iterable[int]) -> str: ...


class Characters:
    """A token a character."""

    def __init__(self, alphabet: Iterable[str]) -> None:
        self.names = tuple(sorted(set(alphabet)))
        self._numbers = {name: number for number, name in enumerate(self.names)}

    def encode(self, text: str) -> list[int]:
        """Text → tokens.

        Raises:
            MemkitError: a character is not in the alphabet.
        """
        try:
            return [self._numbers[character] for character in text]
        except KeyError as error:
            raise MemkitError(f"the character {error.args[0]!r} does not occur in the corpus; leave it out") from None

    def decode(self, tokens: Iterable[int]) -> str:
        """Tokens → text."""
        return "".join(self.names[token] for token in tokens)


_WORD = re.compile(r"[a-z]+|[^\sa-z]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Words:
    """A token a word or sign, in small letters; words that are not known are spelt, a token a letter.

    ``names`` holds the known words and signs, then the letters that begin a spelt word (`q·`), then those that go on
    with one (`·q`). A word that is known may be spelt as well.
    """

    def __init__(self, known: Iterable[str]) -> None:
        words = tuple(dict.fromkeys(known))
        self.names = (*words, *(f"{letter}·" for letter in _LETTERS), *(f"·{letter}" for letter in _LETTERS))
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._first, self._next = len(words), len(words) + len(_LETTERS)

    @classmethod
    def of(cls, text: str, *, most: int, also: Iterable[str] = ()) -> Words:
        """The ``most`` frequent words and signs of a text, all its other signs, and some words more.

        Raises:
            MemkitError: the text has no word.
        """
        counts = Counter(_WORD.findall(text.lower()))
        if not counts:
            raise MemkitError("the corpus is empty: there must be a word in it")
        # The most frequent first, and in their own order where they are equally frequent: the same on every machine.
        order = sorted(counts, key=lambda word: (-counts[word], word))
        signs = [word for word in order[most:] if not word.isalpha() or not word.isascii()]
        return cls([*order[:most], *signs, *also])

    def spell(self, word: str) -> list[int]:
        """The tokens of a word's letters, a to z."""
        first, *rest = (_LETTERS.index(letter) for letter in word)
        return [self._first + first, *(self._next + letter for letter in rest)]

    def encode(self, text: str) -> list[int]:
        """Text → tokens.

        Raises:
            MemkitError: a sign is not known.
        """
        tokens: list[int] = []
        for word in _WORD.findall(text.lower()):
            if word in self._numbers:
                tokens.append(self._numbers[word])
            elif word.isascii() and word.isalpha():
                tokens += self.spell(word)
            else:
                raise MemkitError(f"the sign {word!r} does not occur in the corpus; leave it out")
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Tokens → words with blanks between them."""
        words: list[str] = []
        for token in tokens:
            if token < self._first:
                words.append(self.names[token])
            elif token < self._next or not words:
                words.append(_LETTERS[(token - self._first) % len(_LETTERS)])
            else:
                words[-1] += _LETTERS[token - self._next]
        return " ".join(words)


@dataclass(frozen=True)
class Stretch:
    """Tokens of a corpus, in the order of its text, int64 [N]."""

    tokens: Tensor

    def windows(self, generator: torch.Generator, length: int, *shape: int) -> Tensor:
        """Stretches of ``length`` tokens from anywhere, [*shape, length].

        Raises:
            MemkitError: the corpus is shorter.
        """
        places = len(self.tokens) - length + 1
        if places < 1:
            raise MemkitError(f"a context of {length} tokens is longer than the corpus, which has {len(self.tokens)}")
        first = torch.randint(places, shape, generator=generator)
        return self.tokens[first.unsqueeze(-1) + torch.arange(length)]

    def first(self, count: int, length: int) -> Tensor:
        """The first stretches one after another, [count, length].

        Raises:
            MemkitError: the corpus has not so many.
        """
        if count * length > len(self.tokens):
            raise MemkitError(f"{count} contexts of {length} tokens are more than the corpus has, {len(self.tokens)}")
        return self.tokens[: count * length].view(count, length)


def part(name: str, which: Part) -> str:
    """The beginning of a corpus, or its end."""
    whole = text(name)
    if which not in ("train", "held out"):
        raise MemkitError(f"part={which!r} of a corpus must be 'train' or 'held out'")
    border = round(len(whole) * (1 - HELD_OUT))
    return whole[:border] if which == "train" else whole[border:]


@functools.cache
def stretch(name: str, which: Part, tokens: Tokens) -> Stretch:
    """A part of a corpus in tokens."""
    return Stretch(torch.tensor(tokens.encode(part(name, which)), dtype=torch.int64))


@functools.cache
def characters(name: str) -> Characters:
    """The tokens of a corpus by characters."""
    return Characters(text(name))


@functools.cache
def words(name: str, most: int, also: Sequence[str] = ()) -> Words:
    """The tokens of a corpus by words, the ``most`` frequent and some more."""
    return Words.of(text(name), most=most, also=also)
