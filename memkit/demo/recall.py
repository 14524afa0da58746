"""``memkit demo recall``: a memory reads a sentence from the user once, and recalls it later.

A small character model, trained on Python's built-in help, reads several contexts of held-out text, one of which
contains the sentence. A memory of next tokens records all of them. Then the model completes the cue in different text:
with the memory, without it, and with a memory in which the next characters of all keys are shuffled.
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
from memkit.models.continuing import greedy, score_endings
from memkit.models.gpt import GPT
from memkit.models.next_token_memory import NextTokenMemory
from memkit.scheduling.cohorts import load_or_train, restore_or_retrain, train_missing
from memkit.store.store import Store
from memkit.tasks import needles
from memkit.tasks.modern_facts import CUE, cue, ending
from memkit.training.process import prepared_process
from memkit.training.streams import generator

SEED = 0
"""The model's seed: a development seed, on which no claim is decided."""
OTHER = 8
"""The number of contexts of other text that are read, half before and half after the sentence."""
ROOM = LANGUAGE.length - 2
"""The largest number of characters in a sentence, which is separated from the text by two blanks."""


@dataclass(frozen=True)
class Completed:
    """The completion of a cue in one condition of the memory.

    Attributes:
        memory: "on", "off" or "shuffled".
        text: the greedy completion, as long as the true ending.
        nats: the cross-entropy of the true ending, in nats per character.
    """

    memory: str
    text: str
    nats: float


@dataclass(frozen=True)
class Recalled:
    """A cue and its completions.

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
        """A sentence on what the answers show."""
        on, off, shuffled = self.answers
        if off.text == self.ending:
            return (
                "The model completes the sentence without the memory as well, so this shows nothing about the memory; "
                "try a sentence that the model cannot guess."
            )
        if on.text == self.ending:
            return (
                "The weights are the same in all three rows, so the ending comes from the memory, which recorded the "
                "next characters when the sentence was read once; it would recall a false sentence just as well."
            )
        if on.nats < min(off.nats, shuffled.nats):
            return (
                "The memory makes the true ending more probable, but does not recall it: the last characters of "
                "another text that was read are more similar to the cue, or to a part of the ending."
            )
        return "The memory does not help here: in one of the other rows, the true ending is at least as probable."


def sentence(text: str) -> str:
    """Return a sentence as the model reads it, with one blank between words.

    Raises:
        MemkitError: the sentence is empty, too short or too long, or has a character that the model does not know.
    """
    words = text.split()
    fact = " ".join(words)
    if not words:
        raise MemkitError("the fact is empty; give a sentence, such as 'Croatia adopted the euro in January 2023.'")
    if len(words) <= CUE:
        raise MemkitError(
            f"the fact {fact!r} has {len(words)} word{'s' * (len(words) > 1)}; give three or more, of which the first "
            "two are the cue"
        )
    _check_characters(fact, "the fact")
    if len(fact) > ROOM:
        raise MemkitError(
            f"the fact has {len(fact)} characters, but only {ROOM} fit into a context; shorten it by {len(fact) - ROOM}"
        )
    return fact


def split(fact: str, text: str | None) -> tuple[str, str]:
    """Return the cue of a sentence, with the blank after it, and its ending.

    Args:
        text: the cue, consecutive words of the sentence; None: the first two words.

    Raises:
        MemkitError: the sentence does not contain these words, or ends with them.
    """
    if text is None:
        return cue(fact), ending(fact)
    words = " ".join(text.split())
    if not words:
        raise MemkitError(f"the cue is empty; give some words of the fact, such as {cue(fact).strip()!r}")
    _check_characters(words, "the cue")
    _, found, after = f" {fact} ".partition(f" {words} ")
    if not found:
        raise MemkitError(
            f"the cue {words!r} does not occur in the fact; give consecutive whole words of it, such as "
            f"{cue(fact).strip()!r}"
        )
    if not after.strip():
        raise MemkitError(
            f"nothing comes after the cue {words!r} in the fact; give earlier words, such as {cue(fact).strip()!r}"
        )
    return f"{words} ", after.strip()


def recall(model: Any, fact: str, asked: str | None = None, *, seed: int = SEED) -> Recalled:
    """Read a sentence once, and complete its cue.

    Args:
        model: a trained model of one seed of :data:`memkit.demo.characters.CHARACTERS`.
        asked: the cue; None: the first two words.
        seed: the seed of the stream that draws the other text.
    """
    fact = sentence(fact)
    cue_text, ending_text = split(fact, asked)
    characters, held_out = LANGUAGE.characters, LANGUAGE.stretch("held out")
    stream = generator(seed, "demonstration")
    contexts = held_out.windows(stream, LANGUAGE.length, OTHER)
    needle = needles.shown(stream, held_out, characters, [fact], LANGUAGE.length)
    memory = NextTokenMemory(model, states={})
    store = memory.remember(torch.cat([contexts[: OTHER // 2], needle, contexts[OTHER // 2 :]]))
    stores = {"on": store, "off": memory.empty(), "shuffled": next_tokens.permute_values(store, stream)}
    true_tokens = torch.tensor([characters.encode(ending_text)])
    other_text = held_out.windows(stream, LANGUAGE.length + 1 - len(ending_text), 1)
    prompt = needles.asked(other_text, characters, [cue_text])
    answers = []
    for name, stored in stores.items():
        reader = partial(memory, stored)
        completion = characters.decode(greedy(reader, prompt, len(ending_text))[0].tolist())
        answers.append(Completed(name, completion, float(score_endings(reader, prompt, true_tokens).nats_per_token)))
    return Recalled(cue_text.strip(), ending_text, characters.decode(prompt[0].tolist()), tuple(answers))


def trained(store: Store, *, seed: int = SEED, progress: Callable[[float], None] | None = None) -> GPT:
    """Return the trained model of a seed, which is trained now if it is not in the store."""
    store.prepare()
    train_missing(CHARACTERS, CHARACTERS.digest, [seed], store, progress=progress)
    run = load_or_train(CHARACTERS, CHARACTERS.digest, seed, store)
    _, model = restore_or_retrain(run, CHARACTERS, CHARACTERS.digest, store)
    assert isinstance(model, GPT)
    return model


def run(store: Store, fact: str | None, asked: str | None) -> None:
    """Recall a sentence, and print the results.

    Args:
        fact: the sentence; None: the user is asked to type one.
        asked: the cue; None: the first two words.

    Raises:
        MemkitError: the sentence or the cue cannot be used.
    """
    fact = sentence(_typed() if fact is None else fact)
    split(fact, asked)  # so that a wrong cue is refused before anything is trained
    is_untrained = not store.has(CHARACTERS.digest, SEED)
    if is_untrained:
        print(_TRAINING, end="", file=sys.stderr, flush=True)
    model = trained(store, progress=_print_progress if is_untrained and sys.stderr.isatty() else None)
    if is_untrained:
        print(file=sys.stderr)
    with prepared_process():
        result = recall(model, fact, asked)
    print(f"read once, among {OTHER} contexts of other text:  {fact}")
    print(f"asked in another context:  …{_one_line(result.context[-60:])}")
    print()
    width = max(len(result.ending), len("completion"))
    print(f"{'memory':<9} {'completion':<{width}}  nats per character of the true ending")
    for answer in result.answers:
        print(f"{answer.memory:<9} {_one_line(answer.text):<{width}}  {answer.nats:.2f}")
    print()
    print(result.verdict)


def _check_characters(text: str, what: str) -> None:
    """Raise MemkitError if a text has a character that the model does not know."""
    for character in text:
        if character not in LANGUAGE.characters.names:
            raise MemkitError(
                f"{what} has the character {character!r}, which the model does not know; use plain letters, digits and "
                "signs"
            )


def _typed() -> str:
    """Return a sentence that the user types."""
    try:
        return input("A fact, in one sentence of three words or more: ")
    except EOFError:
        raise MemkitError("no fact was typed; give one with --fact 'TEXT'") from None


_TRAINING = "training a small character model, once"


def _print_progress(share: float) -> None:
    """Print the progress of the training on a terminal, always on the same line."""
    print(f"\r{_TRAINING}: {share:.0%}", end="", file=sys.stderr, flush=True)


def _one_line(text: str) -> str:
    """Return a text with its line breaks shown as ¶."""
    return text.replace("\n", "¶")
