"""``memkit reproduce``: train and measure one seed of a claim again, and hold it against the evidence.

The evidence may come from anywhere. It says what was found, and never what is run: that is the project's own claim, as
pytest collects it here.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memkit.cli import places
from memkit.cli.claims import QUIETLY
from memkit.errors import MemkitError, nearest
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.evidence_loading import load
from memkit.evidence.lock_comparison import held_against
from memkit.evidence.lock_file import Lock
from memkit.evidence.registration import BLOCK, DEVELOPMENT_SEEDS
from memkit.evidence.reproduction import Reproduction, platforms, reproduction
from memkit.evidence.seed_ranges import seed_ranges

if TYPE_CHECKING:
    import pytest

PLATFORM = "calculated_on"
"""The key of the provenance under which it says what the arithmetic depends on."""


def reproduce(options: argparse.Namespace) -> int:
    """Run the seed again, say what differs, and return 1 if anything does."""
    evidence = load(options.evidence)
    recorded = entry_of(evidence, options.claim, options.evidence)
    before = _values(recorded, options.seed)
    if not before:
        seeds = seed_ranges(recorded.seen)
        raise MemkitError(
            f"{options.evidence} has no observation of {options.claim} for seed {options.seed}; it has {seeds}"
        )
    differing = _held(recorded)
    again = _again(options)
    found = entry_of(again, options.claim, options.evidence)
    after = _values(found, options.seed)
    if not after:
        raise MemkitError(f"seed {options.seed} of {options.claim} was not measured: {found.gate.reason}")
    if parts := _parts(recorded, found):
        differing.append(f"the claim in the file is not the project's: {', '.join(parts)} differ")
    for sentence in differing:
        _say(f"DIFFERS: {sentence}")
    elsewhere = platforms(evidence.provenance.get(PLATFORM), again.provenance.get(PLATFORM), recorded.arms)
    result = reproduction(recorded, before, after, exact=not elsewhere, tolerance=options.tolerance)
    _tell(options, result, elsewhere)
    return 0 if result.same and not differing else 1


def entry_of(evidence: Evidence, claim_id: str, where: Path) -> ClaimEvidence:
    """Return a claim's part of the evidence.

    Raises:
        MemkitError: it has none.
    """
    for entry in evidence.claims:
        if entry.claim.id == claim_id:
            return entry
    raise MemkitError(f"{where} has no claim {claim_id!r}{nearest(claim_id, (e.claim.id for e in evidence.claims))}")


def _values(entry: ClaimEvidence, seed: int) -> dict[tuple[str, str], float]:
    return {(o.arm, o.metric): o.value for o in entry.observations if o.seed == seed}


def _held(recorded: ClaimEvidence) -> list[str]:
    """Return what the project's lock says otherwise, and print what else it says."""
    path = places.lock()
    lock = Lock.load(path) if path.is_file() else None
    if lock is None:
        print(f"{path} does not exist, so the claim cannot be compared with what was registered")
    held = held_against(lock, recorded)
    for note in held.notes:
        _say(f"{recorded.claim.id}: {note}")
    return list(held.differs)


class _Only:
    """A plugin that leaves one claim and seed of what pytest collects."""

    def __init__(self, claim: str, seed: int) -> None:
        self.claim, self.seed = claim, seed
        self.known: set[str] = set()
        self.found = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        from memkit.pytest_plugin.collection import claim_and_seed

        pairs = [(item, pair) for item in items if (pair := claim_and_seed(item)) is not None]
        self.known = {claim.id for _, (claim, _) in pairs}
        items[:] = [item for item, (claim, seed) in pairs if (claim.id, seed) == (self.claim, self.seed)]
        self.found = bool(items)


def _again(options: argparse.Namespace) -> Evidence:
    """The evidence of a run of this seed alone.

    Nothing in the arguments comes from the file: the claim is found by its id among what is collected, and how many
    seeds to collect follows from the seed that was asked for, since blocks of seeds begin at multiples of their size.
    """
    import pytest

    from memkit.pytest_plugin.exchange_folder import prefix

    only = _Only(options.claim, options.seed)
    with tempfile.TemporaryDirectory(prefix=prefix()) as folder:
        file = Path(folder) / "evidence.json"
        arguments = [
            *(options.paths or _default()),
            f"--memkit-seeds={options.seed % BLOCK + 1}",
            f"--memkit-store={folder}/store",
            f"--memkit-evidence={file}",
            "--memkit-gate=none",
            "--memkit-with-sweeps",
            "--memkit-executor=inline",  # a process that trains takes longer to start than one seed does to train
            "-q",
            "-n0",
            *QUIETLY,
        ]
        if options.data:
            arguments.append(f"--memkit-data={options.data}")
        if options.seed in DEVELOPMENT_SEEDS:
            arguments.append("--memkit-development")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = pytest.main(arguments, plugins=[only])
        if file.is_file():
            return load(file)
    if code == pytest.ExitCode.NO_TESTS_COLLECTED and not only.found:
        raise MemkitError(_not_collected(options, only.known))
    print(said.getvalue(), file=sys.stderr)
    raise MemkitError(f"seed {options.seed} of {options.claim} could not be run again (pytest's exit code {int(code)})")


def _default() -> Sequence[str]:
    """Return where claims are collected: in the folder of the lock, where there is one, else where pytest would."""
    lock = places.lock()
    return [str(lock.parent)] if lock.is_file() else []


def _not_collected(options: argparse.Namespace, known: set[str]) -> str:
    if options.claim in known:
        return (
            f"seed {options.seed} is none that {options.claim} has in this project; its seeds are those of its "
            "registration, or development seeds, and these alone where the claim was changed since"
        )
    return (
        f"the project has no claim {options.claim!r} where claims were collected{nearest(options.claim, known)}; "
        f"the folder that holds it may be given: memkit reproduce {options.claim} claims --seed {options.seed}"
    )


def _parts(recorded: ClaimEvidence, found: ClaimEvidence) -> list[str]:
    """Return the parts of a claim that its digest covers, and that differ."""
    if recorded.claim.digest == found.claim.digest:
        return []
    old, new = recorded.claim.to_json(), found.claim.to_json()
    names = [name for name in old if old[name] != new[name] and name not in ("source", "headline", "cells")]
    return ["the test function" if name == "test" else name for name in names]


def _say(text: str) -> None:
    """Print a line; what a file says might hold the codes of a terminal."""
    print("".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text))


def _tell(options: argparse.Namespace, result: Reproduction, elsewhere: str) -> None:
    _say(f"{options.claim}, seed {options.seed}: recorded and reproduced")
    width = max(len(value.arm) for value in result.values)
    for value in result.values:
        beside = "" if value.allowed is not None else "   (no contrast compares it)"
        _say(
            f"  {value.arm:<{width}}  {value.metric:<12} {value.recorded:>12.6g} {value.found:>12.6g}   "
            f"difference {value.difference:.3g}{beside}"
        )
    for contrast in result.contrasts:
        flipped = "   ITS SIGN IS ANOTHER" if contrast.flipped else ""
        allowed = f"   may differ by {contrast.allowed:.3g}" if contrast.allowed else ""
        label = f"{contrast.contrast.label}, {contrast.contrast.metric}"
        _say(f"  {label}: {contrast.recorded:+.6g} and {contrast.found:+.6g}{allowed}{flipped}")
    _say(f"{'reproduced' if result.same else 'NOT reproduced'}: {_why(options.tolerance, result, elsewhere)}")


def _why(tolerance: float | None, result: Reproduction, elsewhere: str) -> str:
    """Return which comparison was made, and why."""
    if tolerance is not None:
        return f"compared with the tolerance that was given, {tolerance:g}; a sign may never change"
    if not elsewhere:
        what = "every value is the same, bit for bit" if result.identical else "compared bit for bit"
        return f"{what}; this is the platform that the evidence was made on"
    return (
        "compared with a tenth of each effect, or of half its interval where that is smaller, since this is not known "
        f"to be the platform that the evidence was made on: {elsewhere}"
    )


def tolerance(text: str) -> float:
    """Parse a tolerance of the command line.

    Raises:
        argparse.ArgumentTypeError: it is no number from 0.
    """
    with contextlib.suppress(ValueError):
        if 0 <= (value := float(text)) < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} must be a number from 0, in units of the metric")
