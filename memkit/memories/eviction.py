"""Eviction: which entries of a full memory stay.

Entries that stand in the memory and entries that have just come compete for its places. A policy gives every one of
them its worth, and the N of highest worth stay; of equals, those that stand.

    now      how many examples have been offered to the memory so far: time is counted in examples
    born     the time at which an entry came, −1 where a place is empty; its age is now − born
    uses     how often it was retrieved since, help how much it lowered the loss then, summed
    lot      a number in [0, 1), drawn at random when it came

    none              −born                          what came first stays; a full memory takes in nothing
    fifo               born                          what came last stays
    ttl               −born, −∞ from the age `ttl`   as none, but what has lived its time leaves, full memory or not
    reservoir         −lot                           each example ever offered is as likely to be there as any other
                                                     (Vitter 1985: a uniform sample without replacement)
    usage              uses / age                    what is retrieved most often stays
    helpfulness        help / uses                   what lowers the loss most, when retrieved, stays
    helpfulness_age    (1 − w)·help/uses/largest − w·age/largest      both, each over the largest among the entries

The last three judge by a record that newcomers have not made yet: without a time of probation each newcomer is the
first to leave, and nothing ever enters. So an entry younger than `probation` examples stays.

Functions of tensors [..., M], M entries of each of some memories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

NEVER = -1
"""The time at which nothing came to an empty place."""


class Record(NamedTuple):
    """What eviction knows of entries, [..., M] each; see above."""

    born: Tensor
    uses: Tensor
    help: Tensor
    lot: Tensor


class Terms(NamedTuple):
    """What policies go by beside the record.

    Attributes:
        now: the time, in examples offered.
        ttl: the age at which an entry leaves by ``ttl``.
        weight: w, the share of age in ``helpfulness_age``, 0 to 1.
        probation: the age below which an entry is not judged.
    """

    now: int
    ttl: int = 0
    weight: float = 0.5
    probation: int = 0


Policy = Callable[[Record, Terms], Tensor]
"""The worth of entries, [..., M]; equations above."""


def none(record: Record, terms: Terms) -> Tensor:
    """What came first stays."""
    return -record.born.double()


def fifo(record: Record, terms: Terms) -> Tensor:
    """What came last stays."""
    return record.born.double()


def ttl(record: Record, terms: Terms) -> Tensor:
    """What has lived its time leaves."""
    return torch.where(terms.now - record.born >= terms.ttl, -torch.inf, none(record, terms))


def reservoir(record: Record, terms: Terms) -> Tensor:
    """A uniform sample of all that came."""
    return -record.lot.double()


def usage(record: Record, terms: Terms) -> Tensor:
    """What is retrieved most often stays."""
    return _judged(record.uses / _age(record, terms).clamp(min=1), record, terms)


def helpfulness(record: Record, terms: Terms) -> Tensor:
    """What lowers the loss most, when retrieved, stays."""
    return _judged(_help(record), record, terms)


def helpfulness_age(record: Record, terms: Terms) -> Tensor:
    """What helps and is young stays."""
    here = record.born != NEVER
    age = torch.where(here, _age(record, terms), 0.0)
    worth = (1 - terms.weight) * _scaled(torch.where(here, _help(record), 0.0)) - terms.weight * _scaled(age)
    return _judged(worth, record, terms)


POLICIES: Mapping[str, Policy] = {
    policy.__name__: policy for policy in (none, ttl, fifo, reservoir, usage, helpfulness, helpfulness_age)
}
EARNED = ("usage", "helpfulness", "helpfulness_age")
"""The policies that go by what an entry has done, and put newcomers on probation."""


def staying(policy: str, record: Record, terms: Terms, places: int) -> Tensor:
    """Which entries stay: bool [..., M], at most ``places`` of each memory, all of them entries."""
    worth = torch.where(record.born == NEVER, -torch.inf, POLICIES[policy](record, terms))
    if int((worth != -torch.inf).sum(-1).amax()) <= places:
        return worth > -torch.inf  # all of them fit: a memory that fills up has nothing to sort
    best = worth.argsort(dim=-1, descending=True, stable=True)[..., :places]
    return torch.zeros_like(worth, dtype=torch.bool).scatter_(-1, best, True) & (worth > -torch.inf)


def _age(record: Record, terms: Terms) -> Tensor:
    return (terms.now - record.born).double()


def _help(record: Record) -> Tensor:
    return record.help.double() / record.uses.clamp(min=1)


def _scaled(numbers: Tensor) -> Tensor:
    """Over the largest magnitude in a memory, or as they are where that is 0."""
    largest = numbers.abs().amax(-1, keepdim=True)
    return numbers / torch.where(largest > 0, largest, 1.0)


def _judged(worth: Tensor, record: Record, terms: Terms) -> Tensor:
    # Among those on probation the youngest go first into the full memory's places, and no inf is tied with another.
    young = _age(record, terms) < terms.probation
    return torch.where(young, _YOUNG + record.born.double(), worth)


_YOUNG = 1e12
"""More than any judged worth: rates are at most 1 and losses are far below."""
