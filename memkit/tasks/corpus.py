"""Corpora: texts for language models, and their tokenisation.

    topics        Python's built-in help, some 450,000 characters; it comes with Python and differs between versions
    shakespeare   tiny Shakespeare, 1,115,394 characters: `tinyshakespeare.txt` in the data root (``MEMKIT_DATA``)

A corpus is split in two: models are trained on its beginning and evaluated on its end. The tokens are characters, or
words: frequent words have a token each, and other words are spelt letter by letter, so that any text can be encoded.
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

from memkit.errors import MemkitError, suggestion
from memkit.tasks.images.datasets import data_root


class Source(NamedTuple):
    """The source of a corpus: a file in the data root and its properties; empty if the corpus comes with Python."""

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
"""The share of a corpus, at its end, that no model is trained on."""


def source(name: str) -> Source:
    """Return the source of a corpus.

    Raises:
        MemkitError: there is no corpus of that name.
    """
    if name not in SOURCES:
        raise MemkitError(f"there is no corpus {name!r}{suggestion(name, SOURCES)}")
    return SOURCES[name]


def missing(name: str, root: Path | None = None) -> str:
    """Return one sentence on how to get a corpus that is not on this machine; "" if it is present.

    Args:
        root: the data root; None: ``MEMKIT_DATA``.
    """
    file, root = source(name).file, root or data_root()
    if not file:
        return ""
    if root is None:
        return (
            f"the corpus {name} was not found: give the folder that contains {file} with --data DIR or MEMKIT_DATA, or "
            f"download it with `memkit data get {name} --to DIR`"
        )
    if not (root / file).is_file():
        return (
            f"the corpus {name} is not in {root}: there is no {file}; give another folder with --data DIR or "
            f"MEMKIT_DATA, or download it with `memkit data get {name} --to {root}`"
        )
    return ""


def text(name: str, root: Path | None = None) -> str:
    """Return the text of a corpus, which is read once per process.

    Raises:
        MemkitError: there is no corpus of this name, it is missing, or the file differs from the published one.
    """
    if message := missing(name, root):
        raise MemkitError(message)
    return _text(name, root or data_root())


@functools.cache
def _text(name: str, root: Path | None) -> str:
    origin = source(name)
    if not origin.file or root is None:
        return _topics()
    content = (root / origin.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != origin.sha256:
        raise MemkitError(
            f"{root / origin.file} is not the published file, as its SHA-256 differs; download it again with `memkit "
            f"data get {name} --to {root}`"
        )
    return content.decode()


def _topics() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def checksum(name: str) -> str:
    """Return the SHA-256 of a corpus, 64 hex digits; it is known without the file, or computed from Python's help."""
    return source(name).sha256 or hashlib.sha256(text(name).encode()).hexdigest()


class Tokens(Protocol):
    """A vocabulary, which converts text to tokens and back."""

    names: tuple[str, ...]

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: Iterable[int]) -> str: ...


class Characters:
    """A vocabulary with one token per character."""

    def __init__(self, alphabet: Iterable[str]) -> None:
        self.names = tuple(sorted(set(alphabet)))
        self._tokens = {name: token for token, name in enumerate(self.names)}

    def encode(self, text: str) -> list[int]:
        """Convert text to tokens.

        Raises:
            MemkitError: a character is not in the alphabet.
        """
        try:
            return [self._tokens[character] for character in text]
        except KeyError as error:
            raise MemkitError(f"the character {error.args[0]!r} does not occur in the corpus; leave it out") from None

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text."""
        return "".join(self.names[token] for token in tokens)


_WORD = re.compile(r"[a-z]+|[^\sa-z]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Words:
    """A vocabulary with one token per word or sign, in lower case; unknown words are spelt with one token per letter.

    ``names`` contains the known words and signs, then the letters as the first of a spelt word (`q·`), then the letters
    that continue one (`·q`). A known word may also be spelt.
    """

    def __init__(self, known: Iterable[str]) -> None:
        words = tuple(dict.fromkeys(known))
        self.names = (*words, *(f"{letter}·" for letter in _LETTERS), *(f"·{letter}" for letter in _LETTERS))
        self._tokens = {name: token for token, name in enumerate(self.names)}
        self._first, self._next = len(words), len(words) + len(_LETTERS)

    @classmethod
    def of(cls, text: str, *, most: int, also: Iterable[str] = ()) -> Words:
        """Return the vocabulary of a text.

        Args:
            most: the number of the most frequent words and signs that are known; all other signs are known as well.
            also: further known words.

        Raises:
            MemkitError: the text has no word.
        """
        counts = Counter(_WORD.findall(text.lower()))
        if not counts:
            raise MemkitError("the corpus is empty; it must contain a word")
        # By frequency, then alphabetically, so that the order is the same on every machine.
        order = sorted(counts, key=lambda word: (-counts[word], word))
        signs = [word for word in order[most:] if not word.isalpha() or not word.isascii()]
        return cls([*order[:most], *signs, *also])

    def spell(self, word: str) -> list[int]:
        """Return the tokens that spell a word of the letters a to z."""
        first, *rest = (_LETTERS.index(letter) for letter in word)
        return [self._first + first, *(self._next + letter for letter in rest)]

    def encode(self, text: str) -> list[int]:
        """Convert text to tokens.

        Raises:
            MemkitError: a sign is unknown.
        """
        tokens: list[int] = []
        for word in _WORD.findall(text.lower()):
            if word in self._tokens:
                tokens.append(self._tokens[word])
            elif word.isascii() and word.isalpha():
                tokens += self.spell(word)
            else:
                raise MemkitError(f"the sign {word!r} does not occur in the corpus; leave it out")
        return tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to words, separated by blanks."""
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
    """Consecutive tokens of a corpus, int64 [N]."""

    tokens: Tensor

    def windows(self, generator: torch.Generator, length: int, *shape: int) -> Tensor:
        """Draw windows of ``length`` consecutive tokens at random positions, [*shape, length].

        Raises:
            MemkitError: the corpus is shorter than a window.
        """
        positions = len(self.tokens) - length + 1
        if positions < 1:
            raise MemkitError(f"a context of {length} tokens is longer than the corpus, which has {len(self.tokens)}")
        starts = torch.randint(positions, shape, generator=generator)
        return self.tokens[starts.unsqueeze(-1) + torch.arange(length)]

    def first(self, count: int, length: int) -> Tensor:
        """Return the first ``count`` adjacent windows of the corpus, [count, length].

        Raises:
            MemkitError: the corpus is shorter.
        """
        if count * length > len(self.tokens):
            raise MemkitError(f"{count} contexts of {length} tokens are more than the corpus has, {len(self.tokens)}")
        return self.tokens[: count * length].view(count, length)


def part(name: str, which: Part) -> str:
    """Return a part of a corpus's text: its beginning ("train") or its end ("held out").

    Raises:
        MemkitError: there is no such part, or as in :func:`text`.
    """
    full_text = text(name)
    if which not in ("train", "held out"):
        raise MemkitError(f"part={which!r} of a corpus must be 'train' or 'held out'")
    border = round(len(full_text) * (1 - HELD_OUT))
    return full_text[:border] if which == "train" else full_text[border:]


@functools.cache
def stretch(name: str, which: Part, tokens: Tokens) -> Stretch:
    """Return a part of a corpus as tokens."""
    return Stretch(torch.tensor(tokens.encode(part(name, which)), dtype=torch.int64))


@functools.cache
def characters(name: str) -> Characters:
    """Return the vocabulary of a corpus's characters."""
    return Characters(text(name))


@functools.cache
def words(name: str, most: int, also: Sequence[str] = ()) -> Words:
    """Return the vocabulary of a corpus's ``most`` frequent words and of the words ``also``."""
    return Words.of(text(name), most=most, also=also)
