"""The command line.

``memkit plan | study | verdicts | report | merge | reproduce | register | audit | accept | compare | combine | page |
data | store | demo``
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memkit.cli import audit, claims, combine, data, demo, files, places, reproduce, store
from memkit.errors import MemkitError

_STORE = "a folder, or the URL of a shared store (default: MEMKIT_STORE, else .memkit in the project)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 for success, 1 if something differs or fails, 4 for bad input."""
    parser = _parser()
    arguments = sys.argv[1:] if argv is None else list(argv)
    options, unknown = parser.parse_known_args(arguments)
    if unknown and not options.passes_on:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.arguments = arguments[1:]  # unparsed, because argparse takes the value of a pytest option for a path
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # its encoding may lack the dash
            stream.reconfigure(errors="backslashreplace")
    try:
        code = int(options.run(options))
        if sys.stdout is not None:  # None if it was closed before the program started
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # `memkit register | head -1`
        # At exit, Python flushes standard output once more, which would raise the error again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("memkit: standard output was closed before everything was printed", file=sys.stderr)
        return 1
    except (MemkitError, OSError) as error:
        print(f"memkit: {error}", file=sys.stderr)
        return 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memkit", description="Experiments as tests: claims, their seeds and their evidence."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    evidence, accepted = places.in_project("reports/evidence.json"), places.in_project("reports/accepted.json")

    def command(name: str, run: Any, text: str, *, passes_on: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run, passes_on=passes_on)
        return sub

    sub = command(
        "plan",
        claims.plan,
        "Show what a run would train, and how long it would take. Options such as --headline are passed on to pytest.",
        passes_on=True,
    )
    sub.add_argument("paths", nargs="*", help="where to collect claims (default: as pytest would)")
    sub = command(
        "study",
        claims.study,
        "Run a staged study: screen the configurations of a matrix, confirm the promoted ones as claims, and report.",
    )
    sub.add_argument("matrix", type=Path, help="the matrix, a YAML file; see docs/staged.md")
    sub.add_argument("--list", action="store_true", help="only list the configurations, and what would be trained")
    sub.add_argument("--screen", action="store_true", help="stop after stage A")
    sub.add_argument("--output", metavar="DIR", type=data.folder, help="default: reports/NAME of the matrix")
    sub.add_argument("--store", metavar="DIR", help=_STORE)
    sub.add_argument(
        "--data", metavar="DIR", type=data.folder, help="the folder with the data sets (default: MEMKIT_DATA)"
    )
    sub.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="where models are trained")
    sub.add_argument("-n", metavar="N", default="auto", help="number of processes (default: auto)")
    sub = command("verdicts", files.verdicts, "Recompute every verdict of an evidence file, and fail if one differs.")
    sub.add_argument("file", type=Path, nargs="?", default=evidence, help="default: %(default)s")
    sub = command("report", files.report, "Render the HTML report of one evidence file, or of several merged.")
    sub.add_argument("files", metavar="file", type=Path, nargs="*", default=[evidence], help=f"default: {evidence}")
    sub.add_argument(
        "--output", metavar="FILE", type=Path, help="default: next to the first file, with the suffix .html"
    )
    sub.add_argument(
        "--claims", metavar="PATTERN", help="only claims whose ids match this pattern, such as 'binding/*'"
    )
    sub = command(
        "merge", files.merge_files, "Merge evidence files into one, for example those of shards, machines or backends."
    )
    sub.add_argument("files", metavar="file", type=Path, nargs="+", help="an evidence file")
    sub.add_argument("--output", metavar="FILE", type=Path, required=True, help="the evidence file to write")
    sub = command(
        "reproduce",
        reproduce.reproduce,
        "Train and measure one seed of a claim again, and compare it with the evidence.",
    )
    sub.add_argument("claim", help="the id of the claim, as in the verdict table")
    sub.add_argument(
        "paths", nargs="*", help="where to collect claims (default: the folder of the lock, or as pytest would)"
    )
    sub.add_argument("--seed", type=int, required=True, help="a seed in the evidence")
    sub.add_argument("--evidence", metavar="FILE", type=Path, default=evidence, help="default: %(default)s")
    sub.add_argument(
        "--tolerance",
        metavar="X",
        type=reproduce.tolerance,
        help="maximum difference, in units of the metric (default: 0 on the platform of the evidence; elsewhere a "
        "tenth of each effect, or of half its interval if that is smaller)",
    )
    sub.add_argument("--data", metavar="DIR", help="the folder with the data sets (default: MEMKIT_DATA)")
    sub = command(
        "register",
        claims.register,
        "Register claims in their present form. Changed claims move to fresh seeds, reworded ones keep theirs.",
    )
    sub.add_argument("paths", nargs="*", help="where to collect claims (default: as pytest would)")
    sub.add_argument("--check", action="store_true", help="change nothing; fail if a claim is new, changed or reworded")
    sub.add_argument(
        "--alpha",
        metavar="A",
        type=float,
        help="the error probability of claims that are registered from now on (default: what the lock says, 0.05)",
    )
    sub.add_argument(
        "--laboratory",
        metavar="NAME",
        help="grant a laboratory seeds of its own, for `pytest --memkit-laboratory NAME`; changes no claim",
    )
    sub.add_argument(
        "--new-attempt",
        metavar="ID",
        nargs="+",
        help="give these claims fresh seeds, although they have not changed; this is a new attempt",
    )
    sub.add_argument(
        "--remove", metavar="ID", nargs="+", help="remove these claims from the lock; their attempts stay on record"
    )
    sub = command(
        "audit",
        audit.run,
        "Compare the lock with its history in git, and list what it no longer shows: claims, attempts, outcomes.",
    )
    sub.add_argument("--restore", action="store_true", help="write what is missing back to the lock")
    sub.add_argument(
        "--memkit-strict", "--strict", action="store_true", help="fail if the history is missing, as in a shallow clone"
    )
    sub = command(
        "accept",
        files.accept,
        "Accept a run: write its verdicts and effects to a file to commit, and the outcomes of attempts to the lock.",
    )
    sub.add_argument("file", type=Path, nargs="?", default=evidence, help="default: %(default)s")
    sub.add_argument("--output", metavar="FILE", type=Path, default=accepted, help="default: %(default)s")
    sub = command(
        "combine",
        combine.run,
        "Combine the e-values of several laboratories that ran the same claims on seeds of their own.",
    )
    sub.add_argument("files", type=Path, nargs="+", metavar="FILE", help="evidence files, one per laboratory")
    sub = command(
        "compare",
        files.compare,
        "Show what changed between two runs, or since the accepted one: verdicts, effects, cost.",
    )
    text = "an evidence file, or accepted verdicts (default: %(default)s)"
    sub.add_argument("before", type=Path, nargs="?", default=accepted, help=text)
    sub.add_argument("after", type=Path, nargs="?", default=evidence, help="likewise (default: %(default)s)")
    sub = command("page", files.page, "Write the accepted verdicts between the markers of a study's page.")
    sub.add_argument("files", metavar="file", type=Path, nargs="+", help="a page with markers, such as docs/binding.md")
    sub.add_argument("--accepted", metavar="FILE", type=Path, default=accepted, help="default: %(default)s")
    sub.add_argument("--check", action="store_true", help="change nothing; fail if a page differs")
    sub = command("data", None, "Data sets: list them, or download one.")
    actions = sub.add_subparsers(required=True, metavar="ACTION")
    sub = actions.add_parser("ls", help="list every data set, with its location or how to get it")
    sub.set_defaults(run=data.ls)
    sub.add_argument("--data", metavar="DIR", type=data.folder, help="the folder to search (default: MEMKIT_DATA)")
    sub = actions.add_parser("get", help="download a data set and verify it")
    sub.set_defaults(run=data.get)
    sub.add_argument("name", metavar="NAME", help="a name that `memkit data ls` lists")
    sub.add_argument("--to", metavar="DIR", type=data.folder, help="the folder to download to (default: MEMKIT_DATA)")
    sub = command("store", None, "The store of trained runs: list its contents, verify them, or remove runs.")
    actions = sub.add_subparsers(required=True, metavar="ACTION")
    for name, run, text in (
        ("ls", store.ls, "list each recipe, with the number, the size and the last use of its runs"),
        (
            "verify",
            store.verify,
            "verify the checksums of all runs and measurements; the exit code is 1 if any is damaged",
        ),
        ("gc", store.gc, "remove runs, the least recently used first, but not those behind accepted verdicts"),
    ):
        sub = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(run=run)
        sub.add_argument("--store", metavar="DIR", help=_STORE)
        sub.add_argument("--accepted", metavar="FILE", type=Path, default=accepted, help="default: %(default)s")
    sub.add_argument(
        "--keep",
        metavar="SIZE",
        default="0",
        help="total size of the runs that may stay, such as 500M or 2G (default: 0)",
    )
    sub.add_argument("--delete", action="store_true", help="remove the runs, instead of only listing them")
    sub = command("demo", None, "Demonstrations of what a memory does.")
    demonstrations = sub.add_subparsers(required=True, metavar="WHAT")
    text = "read your own sentence once, and complete its first words with the memory on, off and shuffled"
    sub = demonstrations.add_parser("recall", help=text, description=f"{text[0].upper()}{text[1:]}.")
    sub.set_defaults(run=demo.recall)
    sub.add_argument("--fact", metavar="TEXT", help="the sentence (default: ask for it)")
    sub.add_argument("--cue", metavar="TEXT", help="words from the sentence (default: its first two)")
    sub.add_argument("--store", metavar="DIR", help=_STORE)
    return parser
