"""``memkit demo recall``: a sentence of one's own, read once, and what a memory brings back of it.

A small character model, which has learnt the text of Python's own help, reads some contexts of other text of it, in one
of which the sentence stands. A store of next tokens beside it remembers all of them. Then it completes the cue in yet
other text: with the store, without it, and with a store in which every key has the next character of another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from memkit.demo.characters import CHARACTERS, LANGUAGE
from memkit.errors import MemkitError
from memkit.memories import next_tokens
from memkit.models.continuing import greedy, score
from memkit.models.gpt import GPT
from memkit.models.next_token_memory import NextTokenMemory
from memkit.scheduling.cohorts import obtain, restored, train_missing
from memkit.store.store import Store
from memkit.tasks import needles
from memkit.tasks.modern_facts import CUE, cue, ending
from memkit.training.process import prepared_process
from memkit.training.streams import generator

SEED = 0
"""The model's seed: a development seed, on which no claim is decided."""
OTHER = 8
"""Contexts of other text that are read before and after the sentence."""
ROOM = LANGUAGE.length - 2
"""Most characters of a sentence; it stands between blanks."""


@dataclass(frozen=True)
class Completed:
    """The completion of a cue in a state of the memory.

    Attributes:
        memory: "on", "off" or "shuffled".
        said: the greedy completion, as long as the true ending.
        nats: nats per character of the true ending.
    """

    memory: str
    said: str
    nats: float


@dataclass(frozen=True)
class Recalled:
    """A question and its answers.

    Attributes:
        cue, ending: the two parts of the sentence.
        context: the text that ends with the cue.
        answers: the completions with the memory on, off, and shuffled.
    """

    cue: str
    ending: str
    context: str
    answers: tuple[Completed, ...]

    @property
    def verdict(self) -> str:
        """One sentence on what the answers show."""
        on, off, shuffled = self.answers
        if off.said == self.ending:
            return (
                "The model completes it without the memory as well, so this shows nothing about the memory: try a "
                "sentence that it cannot guess."
            )
        if on.said == self.ending:
            return (
                "The weights are the same in all three rows, so the ending comes from the store, which wrote down what "
                "follows what when the sentence was read, once: it looks up, and would bring back a false sentence too."
            )
        if on.nats < min(off.nats, shuffled.nats):
            return (
                "The memory makes the true ending cheaper, but does not bring it back: something else that was read is "
                "nearer to the cue, or to some place in the ending, by its last characters."
            )
        return "The memory does not help here: what follows this cue in what was read is not this ending."


def sentence(text: str) -> str:
    """A sentence as it is read: blanks between its words.

    Raises:
        MemkitError: it is empty, too short, too long, or has a character that the model does not know.
    """
    words = text.split()
    made = " ".join(words)
    if not words:
        raise MemkitError("the fact is empty; give a sentence, such as 'Croatia adopted the euro in January 2023.'")
    if len(words) <= CUE:
        raise MemkitError(
            f"the fact {made!r} has {len(words)} word{'s' * (len(words) > 1)}; give three or more, of which the first "
            "two are the cue"
        )
    _known(made, "the fact")
    if len(made) > ROOM:
        raise MemkitError(
            f"the fact has {len(made)} characters, and the block has room for {ROOM}; shorten it by {len(made) - ROOM}"
        )
    return made


def split(fact: str, text: str | None) -> tuple[str, str]:
    """The cue, with the blank after it, and the ending of a sentence.

    Args:
        text: the cue that is asked for, words of the sentence; None: its first two words.

    Raises:
        MemkitError: the sentence has no such words, or nothing comes after them.
    """
    if text is None:
        return cue(fact), ending(fact)
    given = " ".join(text.split())
    if not given:
        raise MemkitError(f"the cue is empty; give some words of the fact, such as {cue(fact).strip()!r}")
    _known(given, "the cue")
    _, found, after = f" {fact} ".partition(f" {given} ")
    if not found:
        raise MemkitError(
            f"the cue {given!r} does not occur in the fact; give whole words of it as they stand there, such as "
            f"{cue(fact).strip()!r}"
        )
    if not after.strip():
        raise MemkitError(
            f"nothing comes after the cue {given!r} in the fact; give earlier words, such as {cue(fact).strip()!r}"
        )
    return f"{given} ", after.strip()


def recall(model: Any, fact: str, asked: str | None = None, *, seed: int = SEED) -> Recalled:
    """Read a sentence once, and complete its cue.

    Args:
        model: a trained model of :data:`memkit.demo.characters.CHARACTERS`, of one seed.
        asked: the cue; None: the first two words.
        seed: draws the other text.
    """
    fact = sentence(fact)
    begins, ends = split(fact, asked)
    characters, held_out = LANGUAGE.characters, LANGUAGE.stretch("held out")
    stream = generator(seed, "demonstration")
    read = held_out.windows(stream, LANGUAGE.length, OTHER)
    needle = needles.shown(stream, held_out, characters, [fact], LANGUAGE.length)
    memory = NextTokenMemory(model, states={})
    store = memory.remember(torch.cat([read[: OTHER // 2], needle, read[OTHER // 2 :]]))
    stores = {"on": store, "off": memory.empty(), "shuffled": next_tokens.permuted(store, stream)}
    right = torch.tensor([characters.encode(ends)])
    other = held_out.windows(stream, LANGUAGE.length + 1 - len(ends), 1)
    prompt = needles.asked(other, characters, [begins])
    answers = []
    for name, held in stores.items():
        reader = partial(memory, held)
        said = characters.decode(greedy(reader, prompt, len(ends))[0].tolist())
        answers.append(Completed(name, said, float(score(reader, prompt, right).a_token)))
    return Recalled(begins.strip(), ends, characters.decode(prompt[0].tolist()), tuple(answers))


def trained(store: Store, *, seed: int = SEED, progress: Callable[[float], None] | None = None) -> GPT:
    """The model, from the store, or trained now."""
    store.prepare()
    train_missing(CHARACTERS, CHARACTERS.digest, [seed], store, progress=progress)
    run = obtain(CHARACTERS, CHARACTERS.digest, seed, store)
    _, model = restored(run, CHARACTERS, CHARACTERS.digest, store)
    assert isinstance(model, GPT)
    return model


def run(store: Store, fact: str | None, asked: str | None) -> None:
    """Ask for a sentence where none is given, and print what is recalled.

    Raises:
        MemkitError: a sentence that says what is wrong with what was given.
    """
    fact = sentence(_typed() if fact is None else fact)
    split(fact, asked)  # before anything is trained
    fresh = not store.has(CHARACTERS.digest, SEED)
    if fresh:
        print(_TRAINING, end="", file=sys.stderr, flush=True)
    model = trained(store, progress=_say if fresh and sys.stderr.isatty() else None)
    if fresh:
        print(file=sys.stderr)
    with prepared_process():
        found = recall(model, fact, asked)
    print(f"read once, among {OTHER} contexts of other text:  {fact}")
    print(f"asked in another context:  …{_line(found.context[-60:])}")
    print()
    width = max(len(found.ending), len("completion"))
    print(f"{'memory':<9} {'completion':<{width}}  nats a character of the true ending")
    for answer in found.answers:
        print(f"{answer.memory:<9} {_line(answer.said):<{width}}  {answer.nats:.2f}")
    print()
    print(found.verdict)


def _known(text: str, what: str) -> None:
    for character in text:
        if character not in LANGUAGE.characters.names:
            raise MemkitError(
                f"{what} has the character {character!r}, which the model has never seen; write it with plain letters, "
                "digits and signs"
            )


def _typed() -> str:
    try:
        return input("A fact, in one sentence of three words or more: ")
    except EOFError:
        raise MemkitError("no fact was typed; give one with --fact 'TEXT'") from None


_TRAINING = "training a small character model, once"


def _say(share: float) -> None:
    """The one line of progress, on a terminal."""
    print(f"\r{_TRAINING}: {share:.0%}", end="", file=sys.stderr, flush=True)


def _line(text: str) -> str:
    return text.replace("\n", "¶")
