"""Recall: facts are read once within other text, and must be completed from their first two words in later contexts.

An episode has C written contexts, which are read one after another and written to a memory, and Q asked contexts, in
which the memory is only read. Each context consists of L tokens of a corpus. Some of the written contexts contain a
fact; each asked context contains the cue of a fact, which is to be completed.

    written   [C, L]   ... the object to captain nemo hides crimson lantern . is bound in ...
              [C, L]   ... a name refers to the current local namespace or the ...          (a distractor)
    asked     [Q, L]   ... of this statement captain nemo hides crimson lantern . if the ...
    ending    [Q, L]                              hides crimson lantern .

The model predicts all tokens of the asked contexts. In the loss, the mean over the tokens of the endings has weight 1,
and the mean over the tokens of the corpus has weight ``language``. A completion is right if each of its tokens is the
most probable one after the true tokens before it; this is the same as being right under greedy decoding.

Training begins with one fact per episode. Whenever the share of right completions reaches ``enough``, the number of
facts doubles, up to ``facts``. With all facts, a seed has finished when the share reaches ``last``.
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
from memkit.tasks.facts import CUE, ENDING_LENGTH, FACT, WORDS, Kind, Pool, Pools, pools


class Episodes(NamedTuple):
    """B episodes with K facts each.

    Attributes:
        written: the tokens of the written contexts, [B, C, L].
        filler: the same contexts without the facts, [B, C, L].
        asked: the tokens of the asked contexts, [B, Q, L + 1]; the last token is predicted but not read.
        facts: the tokens of the facts, [B, K, FACT].
        where: the index of the written context that contains each written fact, [B, K].
        which: the index of the fact that is asked for, [B, Q].
        cue: the position of the cue's second word in each asked context, [B, Q].
        before: a position before the cue at which the fact asked for fits into the asked context, [B, Q].
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
        """The asked contexts, with the fact asked for inserted before its cue: [B, Q, L + 1]."""
        rows = torch.arange(len(self.facts)).unsqueeze(1)
        return _inserted(self.asked, self.facts[rows, self.which], self.before)

    @property
    def inputs(self) -> Tensor:
        """The contexts that a model reads: [B, C + Q, L]."""
        return torch.cat([self.written, self.asked[..., :-1]], 1)

    @property
    def answering(self) -> Tensor:
        """True where the next token of an asked context belongs to an ending: bool [B, Q, L]."""
        positions = torch.arange(self.asked.shape[-1] - 1)
        distance = positions - self.cue.unsqueeze(-1)
        return (distance >= 0) & (distance < ENDING_LENGTH)


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
        facts: the number of written facts per episode, each in a context of its own.
        distractors: the number of written contexts without a fact.
        asked: the number of asked contexts; the facts are asked for in turn, in random order.
        length: the number of tokens per context.
        unwritten: the number of additional asked contexts, which come last. Their facts are not written, but are part
            of the asked context.
        shared: the number of facts that have the same cue.
        lag: the number of contexts after the context of the first fact, which is then the only fact asked for. None:
            all facts are asked for, and the order is random.

    Raises:
        MemkitError: a fact does not fit into a context, or there are too few facts or contexts.
    """
    if length < 2 * FACT:
        raise MemkitError(
            f"a context of {length} tokens is too short; it must have at least {2 * FACT}, for a fact of {FACT} and "
            "another one that is completed"
        )
    if facts < 1:
        raise MemkitError(f"facts={facts} must be at least 1")
    contexts = facts + distractors
    if distractors < 0:
        raise MemkitError(f"distractors={distractors} must be 0 or more")
    if lag is not None and not 0 <= lag < contexts:
        raise MemkitError(f"lag={lag} must be less than the {contexts} contexts of an episode")
    all_facts = pool.draw(generator, count, facts + unwritten, shared=shared)
    order = torch.rand(count, contexts, generator=generator).argsort(-1)
    if lag is not None:
        context = contexts - 1 - lag
        # The first fact swaps contexts with the one that was drawn for this context.
        order = order.scatter(1, (order == context).long().argmax(1, keepdim=True), order[:, :1])
        order[:, 0] = context
    where = order[:, :facts]
    which = torch.zeros(count, asked, dtype=torch.int64)
    if lag is None:
        rounds = [torch.rand(count, facts, generator=generator).argsort(-1) for _ in range(-(-asked // facts))]
        which = torch.cat([*rounds, which], 1)[:, :asked]
    which = torch.cat([which, torch.arange(facts, facts + unwritten).expand(count, -1)], 1)
    filler = stretch.windows(generator, length, count, contexts)
    rows = torch.arange(count).unsqueeze(1)
    written = filler.clone()
    starts = torch.randint(length - FACT + 1, (count, facts), generator=generator)
    for i in range(FACT):
        written[rows, where, starts + i] = all_facts[:, :facts, i]
    questions = stretch.windows(generator, length + 1, count, asked + unwritten)
    # There is room for a fact before its cue, so that the fact can be inserted into the same context.
    cue_starts = torch.randint(FACT, length + 1 - FACT + 1, which.shape, generator=generator)
    before = (torch.rand(which.shape, generator=generator) * (cue_starts - FACT + 1)).long()
    with_cues = _inserted(questions, all_facts[rows, which], cue_starts)
    drawn = Episodes(written, filler, with_cues, all_facts, where, which, cue_starts + CUE - 1, before)
    is_unwritten = torch.arange(asked + unwritten) >= asked
    return drawn._replace(asked=torch.where(is_unwritten.unsqueeze(-1), drawn.in_context, drawn.asked))


def _inserted(contexts: Tensor, facts: Tensor, starts: Tensor) -> Tensor:
    """Return contexts [B, Q, L] in which facts [B, Q, FACT] replace the tokens from the positions ``starts`` [B, Q]."""
    positions = starts.unsqueeze(-1) + torch.arange(facts.shape[-1])
    return contexts.scatter(-1, positions, facts)


@dataclass(frozen=True, kw_only=True)
class Recall:
    """The task of recalling facts.

    Attributes:
        kind: the kind of facts, see :mod:`memkit.tasks.facts`.
        facts: the largest number of facts in a training episode.
        written: the number of written contexts, with or without a fact.
        asked: the number of contexts in which the cue of a written fact is to be completed.
        unwritten: the number of additional contexts that contain a fact before its cue, so that it can be completed
            without a memory.
        length: the number of tokens per context.
        corpus: the name of the corpus from which the other text is taken.
        frequent: the number of words of the corpus that have a token of their own.
        language: the weight of the corpus's tokens in the loss, relative to 1 for the tokens of the endings.
        enough: the share of right completions, over about the last ``WINDOW``, at which the number of facts doubles.
        last: the share at which a seed has finished, once it has all facts.
        least: the number of steps before which no seed finishes.
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
            raise MemkitError(f"Recall: facts={self.facts} must be between 1 and written={self.written}")
        if self.asked < 0 or self.unwritten < 0 or not self.asked + self.unwritten:
            raise MemkitError(
                f"Recall: asked={self.asked} and unwritten={self.unwritten} must be 0 or more, and not both 0"
            )
        if self.length < 2 * FACT:
            raise MemkitError(f"Recall: length={self.length} must be at least {2 * FACT}, the length of two facts")

    @property
    def words(self) -> Words:
        """The vocabulary: the corpus's frequent words and the words of the facts."""
        return corpus.words(self.corpus, self.frequent, WORDS)

    @property
    def sizes(self) -> dict[str, Any]:
        """The keyword arguments that every model of the task takes."""
        return {"tokens": len(self.words.names), "block": self.length, "written": self.written}

    @property
    def checksum(self) -> str:
        """The checksum of the corpus."""
        return corpus.checksum(self.corpus)

    @property
    def missing(self) -> str:
        """One sentence on how to get the corpus if it is not on this machine, else ""."""
        return corpus.missing(self.corpus)

    def pools(self, generator: torch.Generator) -> Pools:
        """Return the training facts and the held-out facts."""
        return pools(self.kind, self.words, generator)

    def stretch(self, part: Part) -> Stretch:
        """Return a part of the corpus as tokens."""
        return corpus.stretch(self.corpus, part, self.words)

    def for_seed(self, generator: torch.Generator) -> EpisodeSampler:
        """Return the sampler of a seed's training episodes."""
        return EpisodeSampler(self, self.pools(generator).train, self.stretch("train"))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean nats per token of the endings, plus ``language`` times those of the corpus: [S].

        Args:
            outputs: logits [S, B, Q, L, V].
            targets: tokens [S, B, Q, L]; V is added to the tokens of the endings.
        """
        tokens = outputs.shape[-1]
        is_ending = targets >= tokens
        losses = F.cross_entropy(outputs.flatten(0, -2), (targets % tokens).flatten(), reduction="none").view_as(
            targets
        )
        of_endings, of_corpus = (_mean(losses, mask) for mask in (is_ending, ~is_ending))
        return of_endings + self.language * of_corpus


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of each seed's values under a mask, 0 if the mask is empty: [S, ...] → [S]."""
    return (values * mask).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1)


WINDOW = 250
"""The approximate number of last completions over which the share of right ones is computed.

The share is used only once about half as many have been seen.
"""


class EpisodeSampler:
    """The sampler of a seed's training episodes, in which the number of facts grows.

    Attributes:
        facts: the present number of facts per episode.
        steps: the number of batches seen.
        finished: whether the seed has learnt enough.
        running_sum: the exponentially weighted sum of right completions.
        running_weight: the sum of the weights, between 0 and 1.
    """

    def __init__(self, task: Recall, pool: Pool, stretch: Stretch) -> None:
        self.task, self.pool, self.stretch = task, pool, stretch
        self.facts, self.steps, self.finished = 1, 0, False
        self.reset_accuracy()

    def reset_accuracy(self) -> None:
        """Start a new running share of right completions, since the episodes to come have more facts."""
        self.running_sum = self.running_weight = 0.0

    def __call__(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Return inputs [size, C + Q, L] and targets [size, Q, L]."""
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
        """Receive logits [B, Q, L, V] and targets [B, Q, L], and advance if enough completions are right."""
        self.steps += 1
        tokens = outputs.shape[-1]
        is_ending = targets >= tokens
        is_right = ((outputs.argmax(-1) == targets % tokens) | ~is_ending).all(-1)[:, : self.task.asked or None]
        rate = min(1.0, is_right.numel() / WINDOW)
        self.running_sum += rate * (float(is_right.float().mean()) - self.running_sum)
        self.running_weight += rate * (1 - self.running_weight)
        # Dividing by the weights removes the influence of the initial value, 0.
        share = self.running_sum / self.running_weight if self.running_weight >= 1 / 2 else 0.0
        if self.facts == self.task.facts:
            self.finished = share >= self.task.last and self.steps >= self.task.least
        elif share >= self.task.enough:
            self.facts = min(2 * self.facts, self.task.facts)
            self.reset_accuracy()
