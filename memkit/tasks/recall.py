"""Recall: facts are read once among other text, and later, in another context, their first two words are given.

An episode has C contexts that are read one after another with a memory that is written, and Q more in which it is only
read. Contexts are L tokens of a corpus; somewhere in some of the first ones stands a fact, and in each of the others
the cue of one, which is to be completed.

    written   [C, L]   ... the object to captain nemo hides crimson lantern . is bound in ...
              [C, L]   ... a name refers to the current local namespace or the ...          (a distractor)
    asked     [Q, L]   ... of this statement captain nemo hides crimson lantern . if the ...
    to say    [Q, L]                              hides crimson lantern .

All tokens of the asked contexts are to be predicted, those of the ending with weight 1 and those of the corpus with
``language`` in all. A completion is right when each of its tokens is the most probable one after those before it: that
is what greedy decoding would say.

Training begins with one fact an episode. Once the share of right completions has reached ``enough``, there are twice
as many, up to ``facts``; with all of them, a seed has finished once it has reached ``last``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.tasks import corpus
from memkit.tasks.corpus import Part, Stretch, Words
from memkit.tasks.facts import CUE, FACT, REST, WORDS, Kind, Pool, Pools, pools


class Episodes(NamedTuple):
    """Some episodes; B of them, with K facts each.

    Attributes:
        written: tokens [B, C, L].
        filler: the same contexts without the facts.
        asked: tokens [B, Q, L + 1]; the last one is only predicted.
        facts: tokens [B, K, FACT].
        where: the written context that a fact stands in, [B, K].
        which: the fact that is asked for, [B, Q].
        cue: the place of the cue's second word in an asked context, [B, Q].
        before: where the fact that is asked for has room before its cue, [B, Q].
    """

    written: Tensor
    filler: Tensor
    asked: Tensor
    facts: Tensor
    where: Tensor
    which: Tensor
    cue: Tensor
    before: Tensor

    @property
    def in_context(self) -> Tensor:
        """The asked contexts with the fact that is asked for in them, before its cue: [B, Q, L + 1]."""
        rows = torch.arange(len(self.facts)).unsqueeze(1)
        return _put(self.asked, self.facts[rows, self.which], self.before)

    @property
    def inputs(self) -> Tensor:
        """The contexts that a model reads: [B, C + Q, L]."""
        return torch.cat([self.written, self.asked[..., :-1]], 1)

    @property
    def answering(self) -> Tensor:
        """At which tokens of the asked contexts an ending is to be predicted: bool [B, Q, L]."""
        places = torch.arange(self.asked.shape[-1] - 1)
        ahead = places - self.cue.unsqueeze(-1)
        return (ahead >= 0) & (ahead < REST)


def episodes(
    generator: torch.Generator,
    stretch: Stretch,
    pool: Pool,
    count: int,
    *,
    facts: int,
    distractors: int,
    asked: int,
    length: int,
    unwritten: int = 0,
    shared: int = 1,
    lag: int | None = None,
) -> Episodes:
    """Draw ``count`` episodes.

    Args:
        facts: in the written contexts of an episode, one a context.
        distractors: written contexts without a fact.
        asked: contexts with the cue of a fact. As many as there are facts: one each, else facts in turn.
        length: tokens a context.
        unwritten: contexts more that are asked, after the others. Their facts are written nowhere but stand in them.
        shared: so many facts have one cue.
        lag: only the first fact is asked for, and so many contexts, facts or not, come after it; None: in random order.

    Raises:
        MemkitError: a fact does not fit, or what is asked for is not there.
    """
    if length < 2 * FACT:
        raise MemkitError(
            f"a context of {length} tokens is too short: a fact of {FACT} and its cue with what is to be completed, as "
            f"many, must fit in {2 * FACT}"
        )
    if facts < 1:
        raise MemkitError(f"there must be a fact to ask for, not {facts}")
    contexts = facts + distractors
    if distractors < 0:
        raise MemkitError(f"{facts} facts need as many written contexts, and there are {contexts}")
    if lag is not None and not 0 <= lag < contexts:
        raise MemkitError(f"lag={lag} must be less than the {contexts} contexts of an episode")
    known = pool.draw(generator, count, facts + unwritten, shared=shared)
    order = torch.rand(count, contexts, generator=generator).argsort(-1)
    if lag is not None:
        place = contexts - 1 - lag
        # The first one swaps with whichever has that place.
        order = order.scatter(1, (order == place).long().argmax(1, keepdim=True), order[:, :1])
        order[:, 0] = place
    where = order[:, :facts]
    which = torch.zeros(count, asked, dtype=torch.int64)
    if lag is None:
        turns = [torch.rand(count, facts, generator=generator).argsort(-1) for _ in range(-(-asked // facts))]
        which = torch.cat([*turns, which], 1)[:, :asked]
    which = torch.cat([which, torch.arange(facts, facts + unwritten).expand(count, -1)], 1)
    filler = stretch.windows(generator, length, count, contexts)
    rows = torch.arange(count).unsqueeze(1)
    written = filler.clone()
    begins = torch.randint(length - FACT + 1, (count, facts), generator=generator)
    for part in range(FACT):
        written[rows, where, begins + part] = known[:, :facts, part]
    questions = stretch.windows(generator, length + 1, count, asked + unwritten)
    # Before a cue there is room for its fact, if the fact is to stand in the same context.
    cues = torch.randint(FACT, length + 1 - FACT + 1, which.shape, generator=generator)
    heads = (torch.rand(which.shape, generator=generator) * (cues - FACT + 1)).long()
    facts_asked = known[rows, which]
    found = Episodes(written, filler, _put(questions, facts_asked, cues), known, where, which, cues + CUE - 1, heads)
    alone = torch.arange(asked + unwritten) >= asked
    return found._replace(asked=torch.where(alone.unsqueeze(-1), found.in_context, found.asked))


def _put(contexts: Tensor, facts: Tensor, begins: Tensor) -> Tensor:
    """Contexts [B, Q, L] in which facts [B, Q, FACT] stand from ``begins`` [B, Q] on."""
    places = begins.unsqueeze(-1) + torch.arange(facts.shape[-1])
    return contexts.scatter(-1, places, facts)


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Learn to recall facts.

    Attributes:
        kind: of the facts, see :mod:`memkit.tasks.facts`.
        facts: most facts of a training episode.
        written: contexts that are written, with a fact or without.
        asked: contexts in which the cue of a written fact is to be completed.
        unwritten: contexts more in which a fact stands before its cue, so that it can be completed without a memory.
        length: tokens a context.
        corpus: where the other text is from.
        frequent: how many words of the corpus are tokens.
        language: weight of the corpus' tokens in the loss, against 1 for those of the endings.
        enough: the share of right completions, of about the last ``WINDOW``, at which there are twice as many facts.
        last: that at which a seed has finished, with all facts.
        least: steps before which none has.
    """

    kind: Kind = "closed"
    facts: int = 8
    written: int = 12
    asked: int = 4
    unwritten: int = 0
    length: int = 16
    corpus: str = "topics"
    frequent: int = 192
    language: float = 0.3
    enough: float = 0.95
    last: float = 0.97
    least: int = 60

    def __post_init__(self) -> None:
        if not 1 <= self.facts <= self.written:
            raise MemkitError(f"Recall: facts={self.facts} must be from 1 to written={self.written}")
        if self.asked < 0 or self.unwritten < 0 or not self.asked + self.unwritten:
            raise MemkitError(
                f"Recall: asked={self.asked} and unwritten={self.unwritten} must be 0 or more, and not both 0"
            )
        if self.length < 2 * FACT:
            raise MemkitError(f"Recall: length={self.length} must be at least {2 * FACT}, two facts long")

    @property
    def words(self) -> Words:
        return corpus.words(self.corpus, self.frequent, WORDS)

    @property
    def sizes(self) -> dict[str, Any]:
        """The options that every model of the task takes."""
        return {"tokens": len(self.words.names), "block": self.length, "written": self.written}

    @property
    def checksum(self) -> str:
        """The checksum of the corpus."""
        return corpus.checksum(self.corpus)

    @property
    def missing(self) -> str:
        """One sentence on how to get the corpus, where it is not on this machine; else ""."""
        return corpus.missing(self.corpus)

    def pools(self, generator: torch.Generator) -> Pools:
        """The facts to train on, and those held out."""
        return pools(self.kind, self.words, generator)

    def stretch(self, part: Part) -> Stretch:
        """A part of the corpus."""
        return corpus.stretch(self.corpus, part, self.words)

    def for_seed(self, generator: torch.Generator) -> Lessons:
        """Return the sampler of a seed's training episodes."""
        return Lessons(self, self.pools(generator).train, self.stretch("train"))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Nats a token of the endings, and ``language`` times those of the corpus: [S].

        Logits [S, B, Q, L, V], targets [S, B, Q, L]; those of the endings are counted from V on.
        """
        tokens = outputs.shape[-1]
        ending = targets >= tokens
        losses = F.cross_entropy(outputs.flatten(0, -2), (targets % tokens).flatten(), reduction="none").view_as(
            targets
        )
        said, other = (_mean(losses, where) for where in (ending, ~ending))
        return said + self.language * other


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """The mean of each seed where something holds: [S, ...] → [S]."""
    return (values * where).flatten(1).sum(1) / where.flatten(1).sum(1).clamp(min=1)


WINDOW = 250
"""Completions that the share of right ones is about the last of; half as many must have been seen."""


class Lessons:
    """Draws training episodes with as many facts as a seed can take by now."""

    def __init__(self, task: Recall, pool: Pool, stretch: Stretch) -> None:
        self.task, self.pool, self.stretch = task, pool, stretch
        self.facts, self.steps, self.finished = 1, 0, False
        self.begin()

    def begin(self) -> None:
        """Forget how many completions were right: those to come are of other episodes."""
        self.right = self.seen = 0.0

    def __call__(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Inputs [size, C + Q, L] and targets [size, Q, L]."""
        task = self.task
        drawn = episodes(
            generator,
            self.stretch,
            self.pool,
            size,
            facts=self.facts,
            distractors=task.written - self.facts,
            asked=task.asked,
            unwritten=task.unwritten,
            length=task.length,
        )
        targets = drawn.asked[..., 1:] + len(task.words.names) * drawn.answering
        return drawn.inputs, targets

    def saw(self, outputs: Tensor, targets: Tensor) -> None:
        """Move on where the completions are right: logits [B, Q, L, V], targets [B, Q, L]."""
        self.steps += 1
        tokens = outputs.shape[-1]
        ending = targets >= tokens
        right = ((outputs.argmax(-1) == targets % tokens) | ~ending).all(-1)[:, : self.task.asked or None]
        share = min(1.0, right.numel() / WINDOW)
        self.right += share * (float(right.float().mean()) - self.right)
        self.seen += share * (1 - self.seen)
        # A mean of those seen: what both began with, 0, does not count.
        mean = self.right / self.seen if self.seen >= 1 / 2 else 0.0
        if self.facts == self.task.facts:
            self.finished = mean >= self.task.last and self.steps >= self.task.least
        elif mean >= self.task.enough:
            self.facts = min(2 * self.facts, self.task.facts)
            self.begin()
