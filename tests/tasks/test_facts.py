"""Facts: held-out cues and endings are never trained on, and the facts of an episode all differ."""

from __future__ import annotations

import re
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from memkit.errors import MemkitError
from memkit.tasks import facts
from memkit.tasks.corpus import Words
from memkit.tasks.facts import CUE, ENDING_LENGTH, KINDS, Kind, Pools, pools
from memkit.training.streams import generator

TOKENS = Words.of("the dog sees the cat .", most=2, also=facts.WORDS)
ALL = {kind: pools(kind, TOKENS, generator(0, "split")) for kind in ("closed", "novel")}


def rows(tokens: Tensor) -> set[tuple[int, ...]]:
    return {tuple(row) for row in tokens.tolist()}


def parts(both: Pools) -> list[tuple[Tensor, Tensor]]:
    """Return the training part and the held-out part of the cues, and of the endings."""
    return list(zip(both.train, both.held_out, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_held_out_cues_and_endings_are_not_trained_on(kind: Kind) -> None:
    totals = {"cues": 16 * 16, "closed": 8 * 16 * 16, "novel": 14 * 5 * 14 * 19}
    for (train, held_out), total in zip(parts(ALL[kind]), (totals["cues"], totals[kind]), strict=True):
        assert not rows(train) & rows(held_out)
        assert len(rows(train) | rows(held_out)) == len(train) + len(held_out) == total
        assert len(held_out) == round(total / 4)


@pytest.mark.parametrize("kind", KINDS)
def test_each_seed_has_its_own_split(kind: Kind) -> None:
    same, other = (pools(kind, TOKENS, generator(seed, "split")) for seed in (0, 1))
    for one, again, different in zip(parts(ALL[kind]), parts(same), parts(other), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
        assert rows(one[1]) != rows(different[1])


def test_the_words_of_facts() -> None:
    titles, names, verbs = ("|".join(words) for words in (facts.TITLES, facts.NAMES, facts.VERBS))
    colours, things = ("|".join(words) for words in (facts.COLOURS, facts.THINGS))
    letters = f"[{facts.CONSONANTS}][{facts.VOWELS}][{facts.CONSONANTS}][{facts.CONSONANTS}{facts.VOWELS}]"
    patterns = {"closed": f"({verbs}) ({colours}) ({things}) \\.", "novel": letters}
    for kind, subset in product(KINDS, ("train", "held_out")):
        pool = getattr(ALL[kind], subset)
        assert pool.cues.shape[1] == CUE
        assert pool.endings.shape[1] == ENDING_LENGTH
        assert all(re.fullmatch(f"({titles}) ({names})", TOKENS.decode(row)) for row in pool.cues.tolist())
        assert all(re.fullmatch(patterns[kind], TOKENS.decode(row)) for row in pool.endings.tolist())


def test_novel_names_are_spelt_with_four_letters() -> None:
    for pool in (ALL["novel"].train, ALL["novel"].held_out):
        for row in pool.endings[::100].tolist():
            assert row == TOKENS.spell(TOKENS.decode(row))
            assert [TOKENS.names[token].strip("·") for token in row] == list(TOKENS.decode(row))
            assert len(row) == 4


def test_words_of_facts_are_different() -> None:
    assert len(set(facts.WORDS)) == len(facts.WORDS) == 72


@given(
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(KINDS),
    episodes=st.integers(1, 4),
    cues=st.integers(1, 20),
    shared=st.integers(1, 3),
)
def test_cues_and_endings_of_an_episode_are_different(
    seed: int, kind: Kind, episodes: int, cues: int, shared: int
) -> None:
    pool = ALL[kind].held_out
    drawn = pool.draw(torch.Generator().manual_seed(seed), episodes, cues * shared, shared=shared)
    assert drawn.shape == (episodes, cues * shared, CUE + ENDING_LENGTH)
    for episode in drawn:
        episode_cues, endings = rows(episode[:, :CUE]), rows(episode[:, CUE:])
        assert episode_cues <= rows(pool.cues)
        assert endings <= rows(pool.endings)
        assert (len(episode_cues), len(endings)) == (cues, cues * shared)
        # Facts that share a cue are adjacent.
        groups = episode[:, :CUE].view(cues, shared, CUE)
        assert torch.equal(groups, groups[:, :1].expand_as(groups))


def test_every_cue_is_drawn_and_draws_depend_only_on_the_generator() -> None:
    pool = ALL["closed"].held_out
    drawn = pool.draw(generator(0, "data"), 200, 8)
    assert torch.equal(drawn, pool.draw(generator(0, "data"), 200, 8))
    assert rows(drawn.flatten(0, 1)[:, :CUE]) == rows(pool.cues)


def test_an_episode_can_have_all_cues_but_no_more() -> None:
    pool = ALL["closed"].held_out
    assert rows(pool.draw(generator(0, "data"), 1, 64)[0, :, :CUE]) == rows(pool.cues)
    with pytest.raises(MemkitError, match=r"^an episode of 65 facts needs as many cues, but there are only 64$"):
        pool.draw(generator(0, "data"), 1, 65)
    few = pool._replace(endings=pool.endings[:5])
    with pytest.raises(MemkitError, match=r"^an episode of 6 facts needs as many endings, but there are only 5$"):
        few.draw(generator(0, "data"), 1, 6, shared=2)


@pytest.mark.parametrize("shared", [0, -1, 3])
def test_facts_that_cannot_share_their_cues_are_refused(shared: int) -> None:
    with pytest.raises(
        MemkitError,
        match=rf"^8 facts cannot share cues in groups of {shared}; the number of facts must be a multiple of it$",
    ):
        ALL["closed"].train.draw(generator(0, "data"), 2, 8, shared=shared)


def test_an_unknown_kind_is_named_with_the_nearest() -> None:
    with pytest.raises(MemkitError, match=r"^there are no facts of kind 'novle'; did you mean 'novel'\?$"):
        pools("novle", TOKENS, generator(0, "split"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_without_the_words_is_refused(kind: Kind) -> None:
    with pytest.raises(MemkitError, match="the words of the facts need tokens; pass WORDS as known words"):
        pools(kind, Words.of("the dog .", most=2), generator(0, "split"))
