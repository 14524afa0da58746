"""Commands on files that runs have left: verdicts, report, merge, accept, compare, page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from memkit.cli import places
from memkit.errors import MemkitError, many
from memkit.evidence.evidence_file import Evidence
from memkit.evidence.evidence_loading import checked, load
from memkit.evidence.evidence_merging import merge
from memkit.evidence.lock_comparison import held_against
from memkit.evidence.lock_file import Lock
from memkit.files import write_whole


def verdicts(options: argparse.Namespace) -> int:
    """``memkit verdicts``: compute every verdict of an evidence file again, and hold its claims against the lock."""
    evidence, rows = checked(options.file)
    path = places.lock()
    lock = Lock.load(path) if path.is_file() else None
    held = [held_against(lock, entry) for entry in evidence.claims]
    width = max((len(name) for name, _, _ in rows), default=0)
    wrong = 0
    for (name, recorded, found), against in zip(rows, held, strict=True):
        verdict, _, what = found.partition(" (")
        said = [f"DIFFERS from the lock: {sentence}" for sentence in against.differs]
        if recorded != found:
            wrong += 1
            said.insert(0, f"DIFFERS: {what.removesuffix(')') if verdict == recorded else f'the file says {recorded}'}")
        said += against.notes
        print("  ".join([f"{name:<{width}}", verdict, "; ".join(said)]).rstrip())
    if wrong:
        print(
            f"{wrong} of {many(len(rows), 'claim')}: what the file says does not follow from the observations in "
            f"{options.file}"
        )
    else:
        count = "the verdict follows" if len(rows) == 1 else f"all {len(rows)} verdicts follow"
        print(f"{count} from the observations in {options.file}")
    other = sum(bool(against.differs) for against in held)
    if lock is None:
        print(f"{path} does not exist, so the claims could not be compared with what was registered")
    elif other:
        print(f"{other} of {many(len(rows), 'claim')}: the file differs from what is registered in {path}")
    _tell_absent(lock, evidence)
    if wrong or other:
        return 1
    print(f"digest of the observations: {evidence.digest}")
    print("That the observations are true is another matter: `memkit reproduce CLAIM --seed N` trains one again.")
    return 0


def _tell_absent(lock: Lock | None, evidence: Evidence) -> None:
    """Say which registered claims are not in the evidence, which may be of a part of them."""
    absent = sorted(set(lock.claims if lock is not None else ()) - {entry.claim.id for entry in evidence.claims})
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        print(f"registered, and not in it: {absent[0]}{more}")


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
    """``memkit merge``: one evidence file of several, what the gate makes of it, and what the lock says otherwise."""
    from memkit.evidence.reports.tables import gate_sentence

    merged = _merged(options.files)
    merged.save(options.output)
    print(gate_sentence(merged.claims))
    path = places.lock()
    lock = Lock.load(path) if path.is_file() else None
    other = [(entry.claim.id, held_against(lock, entry).differs) for entry in merged.claims]
    for name, sentence in ((name, sentence) for name, differs in other for sentence in differs):
        print(f"{name} DIFFERS from the lock: {sentence}")
    _tell_absent(lock, merged)
    print(options.output)
    failed = any(entry.gate.outcome == "failed" for entry in merged.claims)
    return 1 if failed or any(differs for _, differs in other) else 0


def _merged(files: Sequence[Path]) -> Evidence:
    """Return the evidence of the files, each named once."""
    return merge({str(file): load(file) for file in dict.fromkeys(files)})


def accept(options: argparse.Namespace) -> int:
    """``memkit accept``: keep a run's verdicts and effects in a file to commit."""
    from memkit.evidence.accepted_verdicts import accepted_claims, load_accepted, outdated, recorded, save_accepted
    from memkit.scheduling.estimates import recipe_key

    evidence = load(options.file)
    try:
        found = accepted_claims(evidence, recipe_key)
    except MemkitError as error:
        raise MemkitError(f"{options.file}: {error}") from None
    path = places.lock()
    lock = Lock.load(path)
    if any(name in lock.claims and lock.claims[name].of_schema_1 for name in found):
        raise MemkitError(f"{path} was written by an older memkit; run `memkit register` first, which rewrites it")
    # Claims that were accepted before and are not in this run stay accepted, as long as they are registered so.
    claims = {**load_accepted(options.output), **found}
    old = outdated(claims, lock)
    for name, why in sorted(old.items()):
        print(f"{name} {why}; dropped")
    new, otherwise = recorded(lock, evidence, found.keys() - old.keys())
    save_accepted(options.output, {name: claim for name, claim in claims.items() if name not in old})
    if new != lock:
        new.save(path)
    for sentence in otherwise:
        print(sentence)
    if idle := len(evidence.claims) - len(found):
        print(f"{idle} claims did not run, and stay as they were accepted before")
    print(f"{many(len(found), 'verdict')} accepted in {options.output}; commit that file and {path}")
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
    from memkit.evidence.accepted_verdicts import load_accepted, outdated
    from memkit.evidence.reports.pages import rewrite
    from memkit.study.screening_table import screening_block

    accepted = load_accepted(options.accepted)
    for name, why in outdated(accepted, Lock.load(places.lock())).items():
        raise MemkitError(f"{options.accepted}: {name} {why}; run it, and `memkit accept` that run")
    rewritten = []
    for file in options.files:
        try:
            before = file.read_text(encoding="utf-8")
            rewritten.append((file, before, rewrite(before, accepted, {"screening": screening_block})))
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
        word = "as it was" if before == after else "DIFFERS" if options.check else "written"
        print(f"{file}: {word}")
    return 1 if options.check and differing else 0
