"""Origins: claims keep the JSON and the digests that they had before the origin became one field."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from memkit.errors import MemkitError
from memkit.evidence import Arm, Claim, Contrast
from memkit.evidence.origin import (
    KEYS,
    Mutant,
    Origin,
    Replication,
    SweepCell,
    origin_from_json,
    origin_to_json,
)

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1))
NOTHING: dict[str, Any] = {"sweep": "", "cell": {}, "cells": 0, "mutant_of": "", "replicates": ""}
SOFT: dict[str, Any] = {"width": 8, "kind": "soft"}
KINDS: list[tuple[Origin | None, dict[str, Any]]] = [
    (None, {}),
    (SweepCell("study/grid", SOFT, 4), {"sweep": "study/grid", "cell": SOFT, "cells": 4}),
    (SweepCell("study/grid", SOFT), {"sweep": "study/grid", "cell": SOFT}),
    (Mutant("study/other"), {"mutant_of": "study/other"}),
    (Replication("study/other"), {"replicates": "study/other"}),
]


def make_claim(origin: Origin | None, **options: Any) -> Claim:
    arms = {"a": Arm({"steps": 9}), "b": Arm()}
    return Claim(
        id="study/name", statement="A beats B.", arms=arms, contrasts=(OVER,), test="0123", origin=origin, **options
    )


@pytest.mark.parametrize(("origin", "keys"), KINDS, ids=str)
def test_an_origin_is_read_as_it_was_written(origin: Origin | None, keys: dict[str, Any]) -> None:
    data = origin_to_json(origin)
    assert data == {**NOTHING, **keys}
    assert tuple(data) == KEYS
    assert origin_from_json(data) == origin_from_json(keys) == origin
    claim = make_claim(origin)
    written = claim.to_json()
    assert [name for name in written if name in KEYS] == list(KEYS)
    read = Claim.from_json(json.loads(json.dumps(written)))
    assert (read, read.digest, read.to_json()) == (claim, claim.digest, written)


@pytest.mark.parametrize(
    ("origin", "options", "digest"),
    [
        (None, {}, "d4981acf23e017c14cc7c429593b1208"),
        (SweepCell("study/grid", SOFT, 4), {}, "f170c95f82860479e3678ad9688a4be1"),
        (SweepCell("study/grid", SOFT, 9), {}, "f170c95f82860479e3678ad9688a4be1"),
        (
            SweepCell("study/grid", {"width": 8.0, "kind": "soft"}),
            {"expect": "open"},
            "bcf4d485f23cea9ef2ee3c0638d0477f",
        ),
        (Mutant("study/other"), {"expect": "not_supported", "gate": True}, "bd899be047e4d225508c3bda40b1e4dc"),
        (Mutant("study/other"), {}, "7b21e51f02145c9b7a5eb72bc51f7e6b"),
        (Replication("study/other"), {"headline": True}, "7b89e3722631729049eb7be6d459503c"),
    ],
    ids=str,
)
def test_digests_are_those_that_were_registered(origin: Origin | None, options: dict[str, Any], digest: str) -> None:
    claim = make_claim(origin, **options)
    assert claim.digest == digest
    assert claim.annotations == {"statement": "A beats B.", **{n: v for n, v in options.items() if n == "headline"}}


def test_properties_of_a_claim_follow_from_its_origin() -> None:
    properties = {
        type(origin): (
            c.is_standalone,
            c.needs_sweeps,
            c.sweep,
            dict(c.cell),
            c.is_mutant,
            c.is_replication,
            c.parent_id,
        )
        for origin, _ in KINDS
        for c in [make_claim(origin)]
    }
    assert properties == {
        type(None): (True, False, "", {}, False, False, ""),
        SweepCell: (False, True, "study/grid", SOFT, False, False, ""),
        Mutant: (False, False, "", {}, True, False, "study/other"),
        Replication: (False, True, "", {}, False, True, "study/other"),
    }
    assert not make_claim(Replication("study/other"), headline=True).needs_sweeps


def test_numbers_of_numpy_are_plain() -> None:
    sweep_cell = SweepCell("study/grid", {"width": np.int64(8)}, np.int64(4))  # type: ignore[dict-item, arg-type]
    assert sweep_cell == SweepCell("study/grid", {"width": 8}, 4)
    assert type(sweep_cell.cell["width"]) is int


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Mutant, ("",), "Mutant: '' is not an id; write study/name"),
        (Replication, (None,), "Replication: None is not an id; write study/name"),
        (SweepCell, (3, {"k": 1}), "SweepCell: 3 is not an id; write study/name"),
        (SweepCell, ("study/grid", {}), "SweepCell: cell={} must be a dict of factors"),
        (SweepCell, ("study/grid", ["k"]), r"SweepCell: cell=\['k'\] must be a dict of factors"),
        (SweepCell, ("study/grid", {"k": 1}, -1), "SweepCell: cells=-1 must be a whole number, the number of cells"),
    ],
)
def test_mistakes_get_a_sentence(kind: Any, given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        kind(*given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"mutant_of": "study/a", "replicates": "study/b"},
            "a claim must be only one of these: a cell of a sweep, a mutant, or a replication",
        ),
        ({"cell": {"width": 8}}, "there is a cell, but no sweep to which it belongs; give both"),
    ],
    ids=str,
)
def test_json_with_half_an_origin_or_with_two_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=f"^claim 'study/name': .*{message}"):
        Claim.from_json({**make_claim(None).to_json(), **changes})
