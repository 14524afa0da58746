"""Commands on files that runs have left: verdicts, report, merge, reproduce, accept, compare, page."""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from memkit.cli.claims import QUIETLY
from memkit.errors import MemkitError, many, nearest
from memkit.evidence.evidence import ClaimEvidence, Evidence, load, recompute
from memkit.evidence.merging import merge
from memkit.evidence.registration import Lock, lock_path
from memkit.files import write_whole


def verdicts(options: argparse.Namespace) -> int:
    """``memkit verdicts``: compute every verdict of an evidence file again."""
    rows = recompute(options.file)
    width = max((len(name) for name, _, _ in rows), default=0)
    differing = 0
    for name, recorded, found in rows:
        if recorded == found:
            print(f"{name:<{width}}  {found}")
            continue
        differing += 1
        verdict, _, what = found.partition(" (")
        differs = what.removesuffix(")") if verdict == recorded else f"the file says {recorded}"
        print(f"{name:<{width}}  {verdict}  DIFFERS: {differs}")
    if differing:
        print(
            f"{differing} of {many(len(rows), 'claim')}: what the file says does not follow from the observations in "
            f"{options.file}"
        )
        return 1
    count = "the verdict follows" if len(rows) == 1 else f"all {len(rows)} verdicts follow"
    print(f"{count} from the observations in {options.file}")
    print(f"digest of the observations: {load(options.file).digest}")
    print("That the observations are true is another matter: `memkit reproduce CLAIM --seed N` trains one again.")
    return 0


def report(options: argparse.Namespace) -> int:
    """``memkit report``: render the HTML report from an evidence file, or from several as one."""
    from memkit.evidence.reports import render_html
    from memkit.evidence.reports.gallery import beside, save

    output = options.output or options.files[0].with_suffix(".html")
    gallery, evidence = beside(output), _merged(options.files)
    if options.claims:
        chosen = tuple(entry for entry in evidence.claims if fnmatchcase(entry.claim.id, options.claims))
        if not chosen:
            raise MemkitError(f"no claim's id matches {options.claims!r}; a pattern is 'binding/*', say")
        shown = f"{len(chosen)} of {len(evidence.claims)}, those that match {options.claims!r}"
        evidence = replace(evidence.of_claims(chosen), provenance={**evidence.provenance, "claims": shown})
    save(render_html(evidence, gallery), gallery, output)
    print(output)
    return 0


def merge_files(options: argparse.Namespace) -> int:
    """``memkit merge``: one evidence file of several, and what the gate makes of it."""
    from memkit.evidence.reports.tables import gate_sentence

    merged = _merged(options.files)
    merged.save(options.output)
    print(gate_sentence(merged.claims))
    print(options.output)
    return 1 if any(entry.gate.outcome == "failed" for entry in merged.claims) else 0


def _merged(files: Sequence[Path]) -> Evidence:
    """The evidence of the files, each named once."""
    return merge({str(file): load(file) for file in dict.fromkeys(files)})


def _entry(evidence: Evidence, claim_id: str, where: Path) -> ClaimEvidence:
    for entry in evidence.claims:
        if entry.claim.id == claim_id:
            return entry
    raise MemkitError(f"{where} has no claim {claim_id!r}{nearest(claim_id, (e.claim.id for e in evidence.claims))}")


def reproduce(options: argparse.Namespace) -> int:
    """``memkit reproduce``: train and measure a seed of a claim again, and compare."""
    import pytest

    recorded = _entry(load(options.evidence), options.claim, options.evidence)
    expected = {(o.arm, o.metric): o.value for o in recorded.observations if o.seed == options.seed}
    if not expected:
        seeds = ", ".join(map(str, recorded.seen))
        raise MemkitError(
            f"{options.evidence} has no observation of {options.claim} for seed {options.seed}; it has {seeds}"
        )
    with tempfile.TemporaryDirectory(prefix="memkit-reproduce-") as folder:
        file = Path(folder) / "evidence.json"
        arguments = [
            f"{recorded.nodeid}[{options.seed}]",
            f"--memkit-seeds={len(recorded.planned)}",
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
        if recorded.registration.development:
            arguments.append("--memkit-development")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = pytest.main(arguments)
        if not file.is_file():
            print(said.getvalue(), file=sys.stderr)
            raise MemkitError(
                f"seed {options.seed} of {options.claim} could not be run again (pytest's exit code {int(code)})"
            )
        found_entry = _entry(load(file), options.claim, file)
    found = {(o.arm, o.metric): o.value for o in found_entry.observations if o.seed == options.seed}
    if not found:
        raise MemkitError(f"seed {options.seed} of {options.claim} was not measured: {found_entry.gate.reason}")
    worst = 0.0
    print(f"{options.claim}, seed {options.seed}: recorded and reproduced")
    for key, old in expected.items():
        new = found.get(key, math.nan)
        difference = 0.0 if math.isnan(old) and math.isnan(new) else abs(old - new)
        worst = max(worst, math.inf if math.isnan(difference) else difference)
        print(f"  {key[0]:<20} {key[1]:<12} {old:>10.4f} {new:>10.4f}   difference {difference:.4f}")
    same = worst <= options.tolerance
    word = "reproduced" if same else "NOT reproduced"
    print(f"{word}: the greatest difference is {worst:.4f}, tolerance {options.tolerance:g}")
    return 0 if same else 1


def accept(options: argparse.Namespace) -> int:
    """``memkit accept``: keep a run's verdicts and effects in a file to commit."""
    from memkit.evidence.accepted import accepted_claims, load_accepted, outdated, save_accepted
    from memkit.training.estimates import recipe_key

    evidence = load(options.file)
    try:
        found = accepted_claims(evidence, recipe_key)
    except MemkitError as error:
        raise MemkitError(f"{options.file}: {error}") from None
    # Claims that were accepted before and are not in this run stay accepted, as long as they are registered so.
    claims = {**load_accepted(options.output), **found}
    old = outdated(claims, Lock.load(lock_path(Path.cwd())))
    for name, why in sorted(old.items()):
        print(f"{name} {why}; dropped")
    save_accepted(options.output, {name: claim for name, claim in claims.items() if name not in old})
    if idle := len(evidence.claims) - len(found):
        print(f"{idle} claims did not run, and stay as they were accepted before")
    print(f"{many(len(found), 'verdict')} accepted in {options.output}; commit that file")
    return 0


def compare(options: argparse.Namespace) -> int:
    """``memkit compare``: what changed between two runs."""
    from memkit.evidence.drift import compare

    found, gone, new = compare(options.before, options.after)
    for entry in found:
        for sentence in entry.sentences:
            print(f"{entry.claim}: {sentence}")
    for name in gone:
        print(f"{name}: only in {options.before}")
    for name in new:
        print(f"{name}: only in {options.after}")
    drifted = sum(bool(entry.drift) for entry in found)
    print(f"{many(len(found), 'claim')} in both; the verdict or an effect of {drifted} of them changed")
    return 1 if drifted else 0


def page(options: argparse.Namespace) -> int:
    """``memkit page``: write what was accepted between the marks of a study's page."""
    from memkit.evidence.accepted import load_accepted, outdated
    from memkit.evidence.reports.pages import rewrite
    from memkit.study.screened import screening_block

    accepted = load_accepted(options.accepted)
    for name, why in outdated(accepted, Lock.load(lock_path(Path.cwd()))).items():
        raise MemkitError(f"{options.accepted}: {name} {why}; run it, and `memkit accept` that run")
    rewritten = []
    for file in options.files:
        before = file.read_text(encoding="utf-8")
        try:
            rewritten.append((file, before, rewrite(before, accepted, {"screening": screening_block})))
        except MemkitError as error:
            raise MemkitError(f"{file}: {error}") from None
    differing = 0
    for file, before, after in rewritten:
        differing += before != after
        if not options.check and before != after:
            write_whole(file, after)
        word = "as it was" if before == after else "DIFFERS" if options.check else "written"
        print(f"{file}: {word}")
    return 1 if options.check and differing else 0
