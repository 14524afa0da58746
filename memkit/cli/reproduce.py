"""``memkit reproduce``: train and measure one seed of a claim again, and compare it with the evidence.

The evidence may come from an untrusted source. It only provides the numbers to compare with. The code that runs is the
project's own claim, as pytest collects it on this machine.
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
from memkit.cli.claims import QUIET_OPTIONS
from memkit.errors import MemkitError, suggestion
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.evidence_loading import load
from memkit.evidence.lock_comparison import compare_with_lock
from memkit.evidence.lock_file import Lock
from memkit.evidence.registration import BLOCK, DEVELOPMENT_SEEDS
from memkit.evidence.reproduction import Reproduction, platforms, reproduction
from memkit.evidence.seed_ranges import seed_ranges

if TYPE_CHECKING:
    import pytest

PLATFORM = "calculated_on"
"""The key of the provenance for everything that the results of floating-point arithmetic depend on."""


def reproduce(options: argparse.Namespace) -> int:
    """Run the seed again, print what differs, and return 1 if anything does."""
    evidence = load(options.evidence)
    recorded = entry_of(evidence, options.claim, options.evidence)
    recorded_values = _values(recorded, options.seed)
    if not recorded_values:
        seeds = seed_ranges(recorded.observed_seeds)
        raise MemkitError(
            f"{options.evidence} has no observation of {options.claim} for seed {options.seed}; it has {seeds}"
        )
    differences = _compare_with_lock(recorded)
    new_evidence = _run_seed(options)
    reproduced = entry_of(new_evidence, options.claim, options.evidence)
    reproduced_values = _values(reproduced, options.seed)
    if not reproduced_values:
        raise MemkitError(f"seed {options.seed} of {options.claim} was not measured: {reproduced.gate.reason}")
    if parts := _differing_parts(recorded, reproduced):
        differences.append(f"the claim in the file is not the project's: {', '.join(parts)} differ")
    for sentence in differences:
        _print(f"DIFFERS: {sentence}")
    other_platform = platforms(evidence.provenance.get(PLATFORM), new_evidence.provenance.get(PLATFORM), recorded.arms)
    result = reproduction(
        recorded, recorded_values, reproduced_values, exact=not other_platform, tolerance=options.tolerance
    )
    _print_result(options, result, other_platform)
    return 0 if result.same and not differences else 1


def entry_of(evidence: Evidence, claim_id: str, file: Path) -> ClaimEvidence:
    """Return a claim's part of the evidence.

    Args:
        evidence: the evidence.
        claim_id: the id of the claim.
        file: the file of the evidence, for the message.

    Raises:
        MemkitError: if the evidence does not contain the claim.
    """
    for entry in evidence.claims:
        if entry.claim.id == claim_id:
            return entry
    raise MemkitError(f"{file} has no claim {claim_id!r}{suggestion(claim_id, (e.claim.id for e in evidence.claims))}")


def _values(entry: ClaimEvidence, seed: int) -> dict[tuple[str, str], float]:
    """Return (arm, metric) → value for one seed."""
    return {(o.arm, o.metric): o.value for o in entry.observations if o.seed == seed}


def _compare_with_lock(recorded: ClaimEvidence) -> list[str]:
    """Return the differences between the evidence and the project's lock; print the notes of the comparison."""
    path = places.lock()
    lock = Lock.load(path) if path.is_file() else None
    if lock is None:
        print(f"{path} does not exist, so the claim cannot be compared with what was registered")
    comparison = compare_with_lock(lock, recorded)
    for note in comparison.notes:
        _print(f"{recorded.claim.id}: {note}")
    return list(comparison.contradictions)


class _SelectSeed:
    """A pytest plugin that deselects everything except one seed of one claim."""

    def __init__(self, claim: str, seed: int) -> None:
        self.claim, self.seed = claim, seed
        self.collected_claims: set[str] = set()
        self.was_found = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        from memkit.pytest_plugin.collection import claim_and_seed

        pairs = [(item, pair) for item in items if (pair := claim_and_seed(item)) is not None]
        self.collected_claims = {claim.id for _, (claim, _) in pairs}
        items[:] = [item for item, (claim, seed) in pairs if (claim.id, seed) == (self.claim, self.seed)]
        self.was_found = bool(items)


def _run_seed(options: argparse.Namespace) -> Evidence:
    """Run one seed of one claim, and return the evidence.

    None of pytest's arguments come from the evidence file. The claim is selected by its id among the collected ones.
    The number of seeds to collect follows from the requested seed, since blocks begin at multiples of their size.
    """
    import pytest

    from memkit.pytest_plugin.exchange_folder import folder_prefix

    selection = _SelectSeed(options.claim, options.seed)
    with tempfile.TemporaryDirectory(prefix=folder_prefix()) as folder:
        file = Path(folder) / "evidence.json"
        arguments = [
            *(options.paths or _default_paths()),
            f"--memkit-seeds={options.seed % BLOCK + 1}",
            f"--memkit-store={folder}/store",
            f"--memkit-evidence={file}",
            "--memkit-gate=none",
            "--memkit-with-sweeps",
            "--memkit-executor=inline",  # starting a training process takes longer than training one seed
            "-q",
            "-n0",
            *QUIET_OPTIONS,
        ]
        if options.data:
            arguments.append(f"--memkit-data={options.data}")
        if options.seed in DEVELOPMENT_SEEDS:
            arguments.append("--memkit-development")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = pytest.main(arguments, plugins=[selection])
        if file.is_file():
            return load(file)
    if code == pytest.ExitCode.NO_TESTS_COLLECTED and not selection.was_found:
        raise MemkitError(_not_collected(options, selection.collected_claims))
    print(output.getvalue(), file=sys.stderr)
    raise MemkitError(f"seed {options.seed} of {options.claim} could not be run again (pytest's exit code {int(code)})")


def _default_paths() -> Sequence[str]:
    """Return the folder of the lock, if there is one; else nothing, so that pytest uses its own default."""
    lock = places.lock()
    return [str(lock.parent)] if lock.is_file() else []


def _not_collected(options: argparse.Namespace, collected_claims: set[str]) -> str:
    """Return the message for a claim or a seed that pytest did not collect."""
    if options.claim in collected_claims:
        return (
            f"{options.claim} has no seed {options.seed} in this project; it has the seeds of its registration and the "
            "development seeds, or only the latter if it has changed since its registration"
        )
    return (
        f"no claim {options.claim!r} was collected in this project{suggestion(options.claim, collected_claims)}; "
        f"if it is in another folder, name it: memkit reproduce {options.claim} claims --seed {options.seed}"
    )


def _differing_parts(recorded: ClaimEvidence, reproduced: ClaimEvidence) -> list[str]:
    """Return the differing parts of a claim, among those that its digest covers."""
    if recorded.claim.digest == reproduced.claim.digest:
        return []
    old, new = recorded.claim.to_json(), reproduced.claim.to_json()
    names = [name for name in old if old[name] != new[name] and name not in ("source", "headline", "cells")]
    return ["the test function" if name == "test" else name for name in names]


def _print(text: str) -> None:
    """Print a line with unprintable characters escaped, since text from a file might contain terminal codes."""
    print("".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text))


def _print_result(options: argparse.Namespace, result: Reproduction, other_platform: str) -> None:
    """Print the recorded and the reproduced values, and whether they agree.

    Args:
        options: the options of the command line.
        result: the comparison.
        other_platform: how this platform may differ from that of the evidence; "" if it is the same.
    """
    _print(f"{options.claim}, seed {options.seed}: recorded and reproduced")
    width = max(len(value.arm) for value in result.values)
    for value in result.values:
        note = "" if value.allowed is not None else "   (in no contrast)"
        _print(
            f"  {value.arm:<{width}}  {value.metric:<12} {value.recorded:>12.6g} {value.found:>12.6g}   "
            f"difference {value.difference:.3g}{note}"
        )
    for contrast in result.contrasts:
        flipped = "   THE SIGN DIFFERS" if contrast.flipped else ""
        allowed = f"   may differ by {contrast.allowed:.3g}" if contrast.allowed else ""
        label = f"{contrast.contrast.label}, {contrast.contrast.metric}"
        _print(f"  {label}: {contrast.recorded:+.6g} and {contrast.found:+.6g}{allowed}{flipped}")
    verdict = "reproduced" if result.same else "NOT reproduced"
    _print(f"{verdict}: {_comparison(options.tolerance, result, other_platform)}")


def _comparison(tolerance: float | None, result: Reproduction, other_platform: str) -> str:
    """Return a description of the comparison, and of the reason for it."""
    if tolerance is not None:
        return f"compared with the given tolerance, {tolerance:g}; the sign must be the same in any case"
    if not other_platform:
        outcome = "every value is the same, bit for bit" if result.identical else "compared bit for bit"
        return f"{outcome}; this is the platform of the evidence"
    return (
        "compared with a tolerance of a tenth of each effect, or of half its interval if that is smaller, since this "
        f"may not be the platform of the evidence: {other_platform}"
    )


def tolerance(text: str) -> float:
    """Parse a tolerance from the command line.

    Raises:
        argparse.ArgumentTypeError: if it is not a finite number, 0 or more.
    """
    with contextlib.suppress(ValueError):
        if 0 <= (value := float(text)) < float("inf"):
            return value
    raise argparse.ArgumentTypeError(f"{text!r} must be a number, 0 or more, in units of the metric")
