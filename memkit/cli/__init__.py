"""The command line.

``memkit plan | study | verdicts | report | merge | reproduce | register | accept | compare | page | data | store |
demo``
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memkit.cli import claims, data, demo, files, places, reproduce, store
from memkit.errors import MemkitError

_STORE = "a folder, or the URL that machines share (default: MEMKIT_STORE, else .memkit in the project)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 fine, 1 something differs or fails, 4 bad input."""
    parser = _parser()
    given = sys.argv[1:] if argv is None else list(argv)
    options, unknown = parser.parse_known_args(given)
    if unknown and not options.passes_on:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.given = given[1:]  # all of them, since the value of a pytest option looks like a path
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # which may know no dash
            stream.reconfigure(errors="backslashreplace")
    try:
        code = int(options.run(options))
        if sys.stdout is not None:  # it may have been closed from the beginning
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # `memkit register | head -1`
        # Python flushes standard output once more when it ends, and would complain.
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
        "Say what a run would train, and what that would take. Options of pytest, such as --headline, are passed on.",
        passes_on=True,
    )
    sub.add_argument("paths", nargs="*", help="where to collect claims (default: as pytest would)")
    sub = command(
        "study",
        claims.study,
        "Run a staged study: screen the configurations of a matrix, confirm the promoted ones as claims, and report.",
    )
    sub.add_argument("matrix", type=Path, help="the matrix, a YAML file; see docs/staged.md")
    sub.add_argument("--list", action="store_true", help="only say what there is, and what would be trained")
    sub.add_argument("--screen", action="store_true", help="stop after stage A")
    sub.add_argument("--output", metavar="DIR", type=data.folder, help="default: reports/NAME of the matrix")
    sub.add_argument("--store", metavar="DIR", help=_STORE)
    sub.add_argument(
        "--data", metavar="DIR", type=data.folder, help="the folder that data sets are read from (default: MEMKIT_DATA)"
    )
    sub.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="where models are trained")
    sub.add_argument("-n", metavar="N", default="auto", help="how many processes (default: auto)")
    sub = command(
        "verdicts", files.verdicts, "Compute every verdict of an evidence file again, and fail where one differs."
    )
    sub.add_argument("file", type=Path, nargs="?", default=evidence, help="default: %(default)s")
    sub = command("report", files.report, "Render the HTML report from an evidence file, or from several as one.")
    sub.add_argument("files", metavar="file", type=Path, nargs="*", default=[evidence], help=f"default: {evidence}")
    sub.add_argument(
        "--output", metavar="FILE", type=Path, help="default: beside the first file, with the ending .html"
    )
    sub.add_argument("--claims", metavar="PATTERN", help="only claims whose ids match it: 'binding/*'")
    sub = command(
        "merge", files.merge_files, "Make one evidence file of several: shards of a matrix, machines, backends."
    )
    sub.add_argument("files", metavar="file", type=Path, nargs="+", help="an evidence file")
    sub.add_argument("--output", metavar="FILE", type=Path, required=True, help="the evidence file to write")
    sub = command(
        "reproduce", reproduce.reproduce, "Train and measure one seed of a claim again, and compare with the evidence."
    )
    sub.add_argument("claim", help="its id, as the verdict table prints it")
    sub.add_argument("paths", nargs="*", help="where to collect claims (default: beside the lock, or as pytest would)")
    sub.add_argument("--seed", type=int, required=True, help="one that the evidence has")
    sub.add_argument("--evidence", metavar="FILE", type=Path, default=evidence, help="default: %(default)s")
    sub.add_argument(
        "--tolerance",
        metavar="X",
        type=reproduce.tolerance,
        help="greatest difference, in units of the metric (default: none on the platform of the evidence, elsewhere a "
        "tenth of each effect, or of half its interval)",
    )
    sub.add_argument("--data", metavar="DIR", help="the folder that data sets are read from (default: MEMKIT_DATA)")
    sub = command(
        "register",
        claims.register,
        "Register claims in their present form; changed ones move to fresh seeds, reworded ones stay on theirs.",
    )
    sub.add_argument("paths", nargs="*", help="where to collect claims (default: as pytest would)")
    sub.add_argument("--check", action="store_true", help="change nothing; fail if a claim is new, changed or reworded")
    sub.add_argument(
        "--remove", metavar="ID", nargs="+", help="take these claims out of the lock, which keeps their attempts"
    )
    sub = command(
        "accept",
        files.accept,
        "Accept a run: keep its verdicts and effects in a file to commit, and in the lock what attempts came to.",
    )
    sub.add_argument("file", type=Path, nargs="?", default=evidence, help="default: %(default)s")
    sub.add_argument("--output", metavar="FILE", type=Path, default=accepted, help="default: %(default)s")
    sub = command(
        "compare", files.compare, "What changed between two runs, or since the accepted one: verdicts, effects, cost."
    )
    said = "an evidence file, or accepted verdicts (default: %(default)s)"
    sub.add_argument("before", type=Path, nargs="?", default=accepted, help=said)
    sub.add_argument("after", type=Path, nargs="?", default=evidence, help="as before (default: %(default)s)")
    sub = command("page", files.page, "Write what was accepted between the marks of a study's page.")
    sub.add_argument("files", metavar="file", type=Path, nargs="+", help="a page with marks, such as docs/binding.md")
    sub.add_argument("--accepted", metavar="FILE", type=Path, default=accepted, help="default: %(default)s")
    sub.add_argument("--check", action="store_true", help="change nothing; fail if a page differs")
    sub = command("data", None, "The data sets: which are here, and how to get the others.")
    actions = sub.add_subparsers(required=True, metavar="ACTION")
    sub = actions.add_parser("ls", help="every data set, and where it is or how to get it")
    sub.set_defaults(run=data.ls)
    sub.add_argument("--data", metavar="DIR", type=data.folder, help="where to look (default: MEMKIT_DATA)")
    sub = actions.add_parser("get", help="download a data set, through torchvision, and verify it")
    sub.set_defaults(run=data.get)
    sub.add_argument("name", metavar="NAME", help="as `memkit data ls` lists it")
    sub.add_argument("--to", metavar="DIR", type=data.folder, help="where it goes (default: MEMKIT_DATA)")
    sub = command("store", None, "The store of trained runs: what is in it, whether it is whole, and what can go.")
    actions = sub.add_subparsers(required=True, metavar="ACTION")
    for name, run, text in (
        ("ls", store.ls, "each recipe, its runs, what they take, and when one was used last"),
        ("verify", store.verify, "hold every run and measurement against its checksum; 1 where one is damaged"),
        ("gc", store.gc, "throw away runs, the least recently used first, but those of accepted verdicts"),
    ):
        sub = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(run=run)
        sub.add_argument("--store", metavar="DIR", help=_STORE)
        sub.add_argument("--accepted", metavar="FILE", type=Path, default=accepted, help="default: %(default)s")
    sub.add_argument("--keep", metavar="SIZE", default="0", help="as much may stay: 500M, 2G (default: 0)")
    sub.add_argument("--delete", action="store_true", help="do it; without, it is only said what would go")
    sub = command("demo", None, "Demonstrations: what a memory does.")
    shows = sub.add_subparsers(required=True, metavar="WHAT")
    text = "a sentence of your own is read once, and its first words completed with the memory on, off and shuffled"
    sub = shows.add_parser("recall", help=text, description=f"{text[0].upper()}{text[1:]}.")
    sub.set_defaults(run=demo.recall)
    sub.add_argument("--fact", metavar="TEXT", help="the sentence (default: it is asked for)")
    sub.add_argument("--cue", metavar="TEXT", help="words of it (default: its first two)")
    sub.add_argument("--store", metavar="DIR", help=_STORE)
    return parser
