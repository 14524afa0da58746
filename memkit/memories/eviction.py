"""Eviction: which entries of a full memory stay.

Entries already in the memory and entries that have just come compete for its places. A policy gives each of them a
worth, and the N with the highest worth stay; among equals, those already in the memory.

    now      how many examples have been offered to the memory so far: time is counted in examples
    born     the time at which an entry came, −1 where a place is empty; its age is now − born
    uses     how often it has been retrieved since; help: by how much it lowered the loss then, summed
    lot      a number in [0, 1), drawn at random when it came

    none              −born                          the oldest entries stay; a full memory takes in nothing
    fifo               born                          the newest entries stay
    ttl               −born, −∞ from the age `ttl`   as none, but entries of the age `ttl` leave, full memory or not
    reservoir         −lot                           each example ever offered is as likely to be there as any other
                                                     (Vitter 1985: a uniform sample without replacement)
    usage              uses / age                    the entries that are retrieved most often stay
    helpfulness        help / uses                   the entries that lower the loss most when retrieved stay
    helpfulness_age    (1 − w)·help/uses/largest − w·age/largest      both, each over the largest among the entries

The last three judge by a record that new entries do not have yet: without a probation each new entry is the first to
leave, and nothing ever enters. So an entry younger than `probation` examples stays.

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
    """The record of entries that eviction uses, [..., M] each; see above."""

    born: Tensor
    uses: Tensor
    help: Tensor
    lot: Tensor


class Terms(NamedTuple):
    """The time and the settings that policies use besides the record.

    Attributes:
        now: the time, in examples offered.
        ttl: the age at which the policy ``ttl`` evicts an entry.
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
    """Return the worth of entries by which the oldest stay."""
    return -record.born.double()


def fifo(record: Record, terms: Terms) -> Tensor:
    """Return the worth of entries by which the newest stay."""
    return record.born.double()


def ttl(record: Record, terms: Terms) -> Tensor:
    """Return the worth of entries as :func:`none` does, but −∞ from the age ``ttl``, so that these leave."""
    return torch.where(terms.now - record.born >= terms.ttl, -torch.inf, none(record, terms))


def reservoir(record: Record, terms: Terms) -> Tensor:
    """Return the worth of entries by which a uniform sample of all that came stays."""
    return -record.lot.double()


def usage(record: Record, terms: Terms) -> Tensor:
    """Return the worth of entries by which those that are retrieved most often stay."""
    return _judged(record.uses / _age(record, terms).clamp(min=1), record, terms)


def helpfulness(record: Record, terms: Terms) -> Tensor:
    """Return the worth of entries by which those that lower the loss most when retrieved stay."""
    return _judged(_help(record), record, terms)


def helpfulness_age(record: Record, terms: Terms) -> Tensor:
    """Return the worth of entries by which those that help and are young stay."""
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
    """Return which entries stay: bool [..., M], at most ``places`` per memory, and never an empty place."""
    worth = torch.where(record.born == NEVER, -torch.inf, POLICIES[policy](record, terms))
    if int((worth != -torch.inf).sum(-1).amax()) <= places:
        return worth > -torch.inf  # all entries fit: there is nothing to sort while a memory fills up
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
