"""Commands on files that runs wrote: verdicts, report, merge, accept, compare, page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from memkit.cli import places
from memkit.errors import MemkitError, count_of
from memkit.evidence.evidence_file import Evidence
from memkit.evidence.evidence_loading import load, load_and_recompute
from memkit.evidence.evidence_merging import merge
from memkit.evidence.lock_comparison import compare_with_lock
from memkit.evidence.lock_file import Lock
from memkit.files import write_whole


def verdicts(options: argparse.Namespace) -> int:
    """``memkit verdicts``: recompute every verdict of an evidence file, and compare its claims with the lock."""
    evidence, rows = load_and_recompute(options.file)
    path = places.lock()
    lock = Lock.load(path) if path.is_file() else None
    comparisons = [compare_with_lock(lock, entry) for entry in evidence.claims]
    width = max((len(name) for name, _, _ in rows), default=0)
    wrong = 0
    for (name, recorded, recomputed), comparison in zip(rows, comparisons, strict=True):
        verdict, _, detail = recomputed.partition(" (")
        remarks = [f"DIFFERS from the lock: {sentence}" for sentence in comparison.contradictions]
        if recorded != recomputed:
            wrong += 1
            difference = detail.removesuffix(")") if verdict == recorded else f"the file says {recorded}"
            remarks.insert(0, f"DIFFERS: {difference}")
        remarks += comparison.notes
        print("  ".join([f"{name:<{width}}", verdict, "; ".join(remarks)]).rstrip())
    if wrong:
        print(
            f"{wrong} of {count_of(len(rows), 'claim')}: what the file says does not follow from the observations in "
            f"{options.file}"
        )
    else:
        count = "the verdict follows" if len(rows) == 1 else f"all {len(rows)} verdicts follow"
        print(f"{count} from the observations in {options.file}")
    differing = sum(bool(comparison.contradictions) for comparison in comparisons)
    if lock is None:
        print(f"{path} does not exist, so the claims could not be compared with what was registered")
    elif differing:
        print(f"{differing} of {count_of(len(rows), 'claim')}: the file differs from what is registered in {path}")
    _print_absent(lock, evidence)
    if wrong or differing:
        return 1
    print(f"digest of the observations: {evidence.digest}")
    print("This does not show that the observations are true; `memkit reproduce CLAIM --seed N` measures a seed again.")
    return 0


def _print_absent(lock: Lock | None, evidence: Evidence) -> None:
    """Print which registered claims are not in the evidence, which need not cover all of them."""
    absent = sorted(set(lock.claims if lock is not None else ()) - {entry.claim.id for entry in evidence.claims})
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        print(f"registered, but not in the evidence: {absent[0]}{more}")


def report(options: argparse.Namespace) -> int:
    """``memkit report``: render the HTML report of one evidence file, or of several merged."""
    from memkit.evidence.reports import render_html
    from memkit.evidence.reports.gallery import gallery_for, save_page

    output = options.output or options.files[0].with_suffix(".html")
    gallery, evidence = gallery_for(output), _merged(options.files)
    if options.claims:
        selected = tuple(entry for entry in evidence.claims if fnmatchcase(entry.claim.id, options.claims))
        if not selected:
            raise MemkitError(f"no claim's id matches {options.claims!r}; write a pattern such as 'binding/*'")
        selection = f"{len(selected)} of {len(evidence.claims)}, those that match {options.claims!r}"
        evidence = replace(evidence.of_claims(selected), provenance={**evidence.provenance, "claims": selection})
    save_page(render_html(evidence, gallery), gallery, output)
    print(output)
    return 0


def merge_files(options: argparse.Namespace) -> int:
    """``memkit merge``: merge evidence files, and print the gate's result and the differences from the lock."""
    from memkit.evidence.reports.tables import gate_sentence

    merged = _merged(options.files)
    merged.save(options.output)
    print(gate_sentence(merged.claims))
    path = places.lock()
    lock = Lock.load(path) if path.is_file() else None
    differences = [(entry.claim.id, compare_with_lock(lock, entry).contradictions) for entry in merged.claims]
    for name, sentence in ((name, sentence) for name, sentences in differences for sentence in sentences):
        print(f"{name} DIFFERS from the lock: {sentence}")
    _print_absent(lock, merged)
    print(options.output)
    failed = any(entry.gate.outcome == "failed" for entry in merged.claims)
    return 1 if failed or any(sentences for _, sentences in differences) else 0


def _merged(files: Sequence[Path]) -> Evidence:
    """Return the merged evidence of files; a file that is named twice counts once."""
    return merge({str(file): load(file) for file in dict.fromkeys(files)})


def accept(options: argparse.Namespace) -> int:
    """``memkit accept``: write a run's verdicts and effects to a file to commit."""
    from memkit.evidence.accepted_verdicts import (
        accepted_claims,
        load_accepted,
        outdated_claims,
        record_outcomes,
        save_accepted,
    )
    from memkit.scheduling.estimates import recipe_key

    evidence = load(options.file)
    if any(entry.registration.laboratory for entry in evidence.claims):
        return _record_laboratory(evidence, options.file)
    try:
        accepted = accepted_claims(evidence, recipe_key)
    except MemkitError as error:
        raise MemkitError(f"{options.file}: {error}") from None
    path = places.lock()
    lock = Lock.load(path)
    if any(name in lock.claims and lock.claims[name].of_schema_1 for name in accepted):
        raise MemkitError(f"{path} was written by an older memkit; run `memkit register` first, which rewrites it")
    # Claims that were accepted before and are not in this run stay accepted while their registration is unchanged.
    claims = {**load_accepted(options.output), **accepted}
    dropped = outdated_claims(claims, lock)
    for name, reason in sorted(dropped.items()):
        print(f"{name} {reason}; dropped")
    new, contradictions = record_outcomes(lock, evidence, accepted.keys() - dropped.keys())
    save_accepted(options.output, {name: claim for name, claim in claims.items() if name not in dropped})
    if new != lock:
        new.save(path)
    for sentence in contradictions:
        print(sentence)
    if not_run := len(evidence.claims) - len(accepted):
        print(f"{count_of(not_run, 'claim')} did not run; earlier accepted verdicts are kept")
    print(f"{count_of(len(accepted), 'verdict')} accepted in {options.output}; commit that file and {path}")
    return 0


def _record_laboratory(evidence: Evidence, file: Path) -> int:
    """Record the outcomes of a laboratory's run in the lock, whatever they are; accepted.json holds the project's own.

    Raises:
        MemkitError: the file holds runs of several laboratories, or of none of the claims as they are registered.
    """
    from memkit.evidence.accepted_verdicts import record_outcomes

    path = places.lock()
    lock = Lock.load(path)
    run = [entry for entry in evidence.claims if entry.observations]
    laboratories = {entry.registration.laboratory for entry in run}
    if len(laboratories) > 1:
        raise MemkitError(f"{file} holds runs of several laboratories; give the evidence of one at a time")
    names = {
        entry.claim.id
        for entry in run
        if entry.decided and not entry.registration.development and not compare_with_lock(lock, entry).contradictions
    }
    if not names:
        raise MemkitError(f"{file} holds no complete run of a claim as it is registered in {path}")
    new, contradictions = record_outcomes(lock, evidence, names)
    if new != lock:
        new.save(path)
    for sentence in contradictions:
        print(sentence)
    print(f"{count_of(len(names), 'outcome')} of the laboratory {laboratories.pop()!r} recorded in {path}; commit it")
    return 0


def compare(options: argparse.Namespace) -> int:
    """``memkit compare``: show what changed between two runs."""
    from memkit.evidence.drift import compare

    in_both, only_before, only_after = compare(options.before, options.after)
    for entry in in_both:
        for sentence in entry.sentences:
            print(f"{entry.claim}: {sentence}")
    for name in only_before:
        print(f"{name}: only in {options.before}")
    for name in only_after:
        print(f"{name}: only in {options.after}")
    drifted = sum(bool(entry.drift) for entry in in_both)
    print(f"{count_of(len(in_both), 'claim')} in both; the verdict or an effect of {drifted} of them changed")
    return 1 if drifted else 0


def page(options: argparse.Namespace) -> int:
    """``memkit page``: write the accepted verdicts between the markers of a study's page."""
    from memkit.evidence.accepted_verdicts import load_accepted, outdated_claims
    from memkit.evidence.reports.pages import rewrite_blocks
    from memkit.study.screening_table import screening_block

    accepted = load_accepted(options.accepted)
    for name, reason in outdated_claims(accepted, Lock.load(places.lock())).items():
        raise MemkitError(f"{options.accepted}: {name} {reason}; run it, and accept the run with `memkit accept`")
    rewritten = []
    for file in options.files:
        try:
            before = file.read_text(encoding="utf-8")
            rewritten.append((file, before, rewrite_blocks(before, accepted, {"screening": screening_block})))
        except UnicodeDecodeError as error:
            raise MemkitError(f"{file} is not UTF-8, at byte {error.start}") from None
        except KeyError as error:
            raise MemkitError(f"{options.accepted} lacks {error} of a claim; accept a run of it again") from None
        except MemkitError as error:
            raise MemkitError(f"{file}: {error}") from None
    differing = 0
    for file, before, after in rewritten:
        differing += before != after
        if not options.check and before != after:
            write_whole(file, after)
        status = "unchanged" if before == after else "DIFFERS" if options.check else "written"
        print(f"{file}: {status}")
    return 1 if options.check and differing else 0
