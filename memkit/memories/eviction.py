"""Eviction: which entries stay in a full memory.

Existing entries and new entries compete for the places of a memory. A policy gives each entry a score, and the N
entries with the highest scores stay; among equal scores, existing entries stay.

    now              the number of examples offered to the memory so far; this is the unit of time
    born             the time at which an entry was added, −1 for an empty place; the age of an entry is now − born
    uses             how often the entry has been retrieved
    help             by how much it has lowered the loss on retrieval, in total, in nats
    random_number    drawn from [0, 1) when the entry was added

    none              −born                          the oldest entries stay; a full memory adds nothing
    fifo               born                          the newest entries stay
    ttl               −born, −∞ from age `ttl`       as none, but entries leave at age `ttl`, even if the memory is not
                                                     full
    reservoir         −random_number                 each example ever offered has the same probability of being stored
                                                     (Vitter 1985: a uniform sample without replacement)
    usage              uses / age                    the most frequently retrieved entries stay
    helpfulness        help / uses                   the entries that lower the loss most when retrieved stay
    helpfulness_age    (1 − w)·help/uses/largest − w·age/largest      both terms, each divided by the largest magnitude

The last three policies use a record that new entries do not have yet. Without probation, each new entry would be the
first to leave, and the memory would never change. So entries younger than `probation` examples always stay, if there
are places for them.

The functions take tensors [..., M], for M entries in each of several memories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

NEVER = -1
"""``born`` of an empty place."""


class Record(NamedTuple):
    """The record of entries that policies use, [..., M] each; see above."""

    born: Tensor
    uses: Tensor
    help: Tensor
    random_number: Tensor


class PolicySettings(NamedTuple):
    """The time, and the settings of policies.

    Attributes:
        now: the number of examples offered so far.
        ttl: the age at which the policy ``ttl`` evicts an entry.
        weight: w, the weight of age in ``helpfulness_age``, 0 to 1.
        probation: the age below which an entry is on probation.
    """

    now: int
    ttl: int = 0
    weight: float = 0.5
    probation: int = 0


Policy = Callable[[Record, PolicySettings], Tensor]
"""A function that returns the scores of entries, [..., M]; equations are above."""


def none(record: Record, settings: PolicySettings) -> Tensor:
    """Return scores by which the oldest entries stay.

    >>> import torch
    >>> from memkit.memories import eviction
    >>> record = eviction.Record(
    ...     born=torch.tensor([0, 1, 2]), uses=torch.tensor([4, 1, 2]), help=torch.tensor([2.0, 3.0, 1.0]),
    ...     random_number=torch.tensor([0.5, 0.1, 0.9]),
    ... )
    >>> eviction.none(record, eviction.PolicySettings(now=4))
    tensor([-0., -1., -2.], dtype=torch.float64)
    """
    return -record.born.double()


def fifo(record: Record, settings: PolicySettings) -> Tensor:
    """Return scores by which the newest entries stay.

    >>> import torch
    >>> from memkit.memories import eviction
    >>> record = eviction.Record(
    ...     born=torch.tensor([0, 1, 2]), uses=torch.tensor([4, 1, 2]), help=torch.tensor([2.0, 3.0, 1.0]),
    ...     random_number=torch.tensor([0.5, 0.1, 0.9]),
    ... )
    >>> eviction.fifo(record, eviction.PolicySettings(now=4))
    tensor([0., 1., 2.], dtype=torch.float64)
    """
    return record.born.double()


def ttl(record: Record, settings: PolicySettings) -> Tensor:
    """Return the scores of :func:`none`, but −∞ from the age ``ttl``.

    >>> import torch
    >>> from memkit.memories import eviction
    >>> record = eviction.Record(
    ...     born=torch.tensor([0, 1, 2]), uses=torch.tensor([4, 1, 2]), help=torch.tensor([2.0, 3.0, 1.0]),
    ...     random_number=torch.tensor([0.5, 0.1, 0.9]),
    ... )
    >>> eviction.ttl(record, eviction.PolicySettings(now=4, ttl=4))
    tensor([-inf, -1., -2.], dtype=torch.float64)
    """
    return torch.where(settings.now - record.born >= settings.ttl, -torch.inf, none(record, settings))


def reservoir(record: Record, settings: PolicySettings) -> Tensor:
    """Return scores by which a uniform random sample of all offered examples stays.

    >>> import torch
    >>> from memkit.memories import eviction
    >>> record = eviction.Record(
    ...     born=torch.tensor([0, 1, 2]), uses=torch.tensor([4, 1, 2]), help=torch.tensor([2.0, 3.0, 1.0]),
    ...     random_number=torch.tensor([0.5, 0.1, 0.9]),
    ... )
    >>> eviction.reservoir(record, eviction.PolicySettings(now=4))
    tensor([-0.5000, -0.1000, -0.9000], dtype=torch.float64)
    """
    return -record.random_number.double()


def usage(record: Record, settings: PolicySettings) -> Tensor:
    """Return scores by which the most frequently retrieved entries stay.

    >>> import torch
    >>> from memkit.memories import eviction
    >>> record = eviction.Record(
    ...     born=torch.tensor([0, 1, 2]), uses=torch.tensor([4, 1, 2]), help=torch.tensor([2.0, 3.0, 1.0]),
    ...     random_number=torch.tensor([0.5, 0.1, 0.9]),
    ... )
    >>> eviction.usage(record, eviction.PolicySettings(now=4))
    tensor([1.0000, 0.3333, 1.0000], dtype=torch.float64)
    """
    return _with_probation(record.uses / _age(record, settings).clamp(min=1), record, settings)


def helpfulness(record: Record, settings: PolicySettings) -> Tensor:
    """Return scores by which the entries that lower the loss most when retrieved stay.

    >>> import torch
    >>> from memkit.memories import eviction
    >>> record = eviction.Record(
    ...     born=torch.tensor([0, 1, 2]), uses=torch.tensor([4, 1, 2]), help=torch.tensor([2.0, 3.0, 1.0]),
    ...     random_number=torch.tensor([0.5, 0.1, 0.9]),
    ... )
    >>> eviction.helpfulness(record, eviction.PolicySettings(now=4))
    tensor([0.5000, 3.0000, 0.5000], dtype=torch.float64)
    """
    return _with_probation(_mean_help(record), record, settings)


def helpfulness_age(record: Record, settings: PolicySettings) -> Tensor:
    """Return scores by which helpful and young entries stay.

    >>> import torch
    >>> from memkit.memories import eviction
    >>> record = eviction.Record(
    ...     born=torch.tensor([0, 1, 2]), uses=torch.tensor([4, 1, 2]), help=torch.tensor([2.0, 3.0, 1.0]),
    ...     random_number=torch.tensor([0.5, 0.1, 0.9]),
    ... )
    >>> eviction.helpfulness_age(record, eviction.PolicySettings(now=4))
    tensor([-0.4167,  0.1250, -0.1667], dtype=torch.float64)
    """
    is_entry = record.born != NEVER
    age = torch.where(is_entry, _age(record, settings), 0.0)
    mean_help = torch.where(is_entry, _mean_help(record), 0.0)
    score = (1 - settings.weight) * _normalised(mean_help) - settings.weight * _normalised(age)
    return _with_probation(score, record, settings)


POLICIES: Mapping[str, Policy] = {
    policy.__name__: policy for policy in (none, ttl, fifo, reservoir, usage, helpfulness, helpfulness_age)
}
RECORD_POLICIES = ("usage", "helpfulness", "helpfulness_age")
"""The policies that use the record of an entry, and keep new entries on probation."""


def entries_to_keep(policy: str, record: Record, settings: PolicySettings, capacity: int) -> Tensor:
    """Return which entries stay: bool [..., M], at most ``capacity`` per memory, and no empty places.

    >>> import torch
    >>> from memkit.memories import eviction
    >>> record = eviction.Record(
    ...     born=torch.tensor([0, 1, 2]), uses=torch.tensor([4, 1, 2]), help=torch.tensor([2.0, 3.0, 1.0]),
    ...     random_number=torch.tensor([0.5, 0.1, 0.9]),
    ... )
    >>> eviction.entries_to_keep("fifo", record, eviction.PolicySettings(now=4), 2)
    tensor([False,  True,  True])
    """
    score = torch.where(record.born == NEVER, -torch.inf, POLICIES[policy](record, settings))
    if int((score != -torch.inf).sum(-1).amax()) <= capacity:
        return score > -torch.inf  # all entries fit, so nothing has to be sorted
    kept = score.argsort(dim=-1, descending=True, stable=True)[..., :capacity]
    return torch.zeros_like(score, dtype=torch.bool).scatter_(-1, kept, True) & (score > -torch.inf)


def _age(record: Record, settings: PolicySettings) -> Tensor:
    """Return the ages of the entries, in examples."""
    return (settings.now - record.born).double()


def _mean_help(record: Record) -> Tensor:
    """Return the mean help per retrieval, in nats."""
    return record.help.double() / record.uses.clamp(min=1)


def _normalised(numbers: Tensor) -> Tensor:
    """Divide by the largest magnitude in each memory; if that is 0, leave the numbers as they are."""
    largest = numbers.abs().amax(-1, keepdim=True)
    return numbers / torch.where(largest > 0, largest, 1.0)


def _with_probation(score: Tensor, record: Record, settings: PolicySettings) -> Tensor:
    """Return the scores, with those of entries on probation above all others."""
    # Among entries on probation the youngest have priority; finite scores avoid ties between infinities.
    on_probation = _age(record, settings) < settings.probation
    return torch.where(on_probation, _PROBATION_SCORE + record.born.double(), score)


_PROBATION_SCORE = 1e12
"""Higher than any other score: rates are at most 1, and losses are much smaller."""
