"""A run that ends before it is through leaves the evidence of what was measured, and no process or folder behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from memkit import MemkitError
from memkit.pytest_plugin import exchange_folder
from memkit.pytest_plugin.exchange_folder import make_exchange_folder
from memkit.pytest_plugin.messages import Messages
from tests.inner import command, run
from tests.pytest_plugin.lab import canned, evidence, verdict, write_suite

SLOW = canned("slow", body="import time; (HERE / 'slow').touch(); time.sleep(600)")


# Whoever runs these tests may ignore signals, as nohup does.
LISTENING = """
import signal, sys
import pytest

for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
sys.exit(pytest.main())
"""


def start(pytester: pytest.Pytester, *arguments: str) -> subprocess.Popen[str]:
    """Start a run of a claim that is decided at once and one that would take hours."""
    write_suite(pytester, canned("quick"), SLOW)
    command = (sys.executable, "-u", "-c", LISTENING, "-p", "no:cacheprovider", *arguments)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=pytester.path, text=True, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    while not file.exists():
        assert process.poll() is None
        time.sleep(0.05)


@pytest.mark.parametrize("how", ["-n0", "-n1"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_evidence_of_what_was_measured(
    pytester: pytest.Pytester, number: signal.Signals, how: str
) -> None:
    process = start(pytester, how)
    wait_for(pytester.path / "slow", process)
    process.send_signal(number)
    out, _ = process.communicate()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert f"{number.name} has ended the run; the evidence contains what was measured before" in out
    assert (verdict(pytester, "quick"), verdict(pytester, "slow")) == ("SUPPORTED", "INCOMPLETE")


DISTURBED = """
    import os, signal
    from memkit.pytest_plugin import evidence_writer

    made = evidence_writer.provenance

    def disturbed(*given):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        return made(*given)

    evidence_writer.provenance = disturbed
"""


def test_signals_while_the_evidence_is_written_are_too_late(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"))
    pytester.makeconftest(DISTURBED)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    assert run(pytester, "-n0").ret == 0
    assert verdict(pytester, "true") == "SUPPORTED"
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before


FULL_OUTPUT = """
    import errno

    class Full:
        def pytest_runtest_logreport(self, report):
            if "[verdict]" in report.nodeid:
                raise OSError(errno.ENOSPC, "No space left on device")

    def pytest_configure(config):
        config.pluginmanager.register(Full())
"""


@pytest.mark.parametrize(("treatment", "code"), [("0.9", 0), ("0.0", 1)])
def test_a_verdict_that_cannot_be_printed_is_in_the_evidence_and_counts(
    pytester: pytest.Pytester, treatment: str, code: int
) -> None:
    write_suite(pytester, canned("a", treatment))
    pytester.makeconftest(FULL_OUTPUT)
    assert run(pytester, "-n0").ret == code
    assert evidence(pytester)["lab/a"]["observations"]


def test_a_signal_that_is_ignored_stays_so(pytester: pytest.Pytester) -> None:
    body = "import os, signal; os.kill(os.getpid(), signal.SIGHUP)"
    write_suite(pytester, canned("true", body=body))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert run(pytester, "-n0").ret == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_reader_that_goes_leaves_the_evidence_of_what_was_measured(pytester: pytest.Pytester) -> None:
    process = start(pytester, "-n0", "-v")
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if "quick[verdict]" in line:
            break
    process.stdout.close()
    while process.poll() is None and not (pytester.path / "slow").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)  # if it has not noticed yet, it prints again when something ends
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait() != 0
    assert (verdict(pytester, "quick"), verdict(pytester, "slow")) == ("SUPPORTED", "INCOMPLETE")
    assert "Traceback" not in stderr


def test_a_reader_that_goes_is_told_of_in_a_sentence(pytester: pytest.Pytester) -> None:
    process = start(pytester, "-n0", "-v", "-k", "quick")
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if "PASSED" in line:
            break
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait() in (pytest.ExitCode.OK, pytest.ExitCode.INTERRUPTED), "it may have been through"
    file = pytester.path / "reports" / "evidence.json"
    assert stderr == f"memkit: standard output was closed; {file} contains what was measured\n"
    assert evidence(pytester)["lab/quick"]["observations"]


CHILD = """
import os, signal, sys, time
from memkit.pytest_plugin.interruption import end_with_parent

end_with_parent()
print(os.getpid(), flush=True)
while True:
    time.sleep(600)
"""
PARENT = """
import subprocess, sys, time

subprocess.Popen([sys.executable, "-c", sys.argv[1]])
time.sleep(600)
"""


def test_a_worker_goes_when_its_controller_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert parent.stdout.read() == "", "which ends when nobody holds the other end any more"
    parent.stdout.close()
    assert child != parent.pid


# --- temporary files ----------------------------------------------------------------------------------------------


def test_what_a_killed_run_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    mine = Path(make_exchange_folder(tmp_path / "spare"))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
    left.mkdir()
    (left / "messages.jsonl").touch()
    for other in ("memkit-elsewhere-1-x", "memkit-", "memkit-notes"):
        (tmp_path / other).mkdir()
    second = Path(make_exchange_folder(tmp_path / "spare"))
    assert mine.is_dir()
    assert second.is_dir()
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 5, "what is not known to be of a run that has ended stays"


def test_a_run_without_workers_removes_what_is_left_too(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = pytester.mkdir("temporary")
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(base))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = base / exchange_folder.folder_prefix().replace(f"-{os.getpid()}-", f"-{dead.pid}-x")
    left.mkdir()
    write_suite(pytester, canned("true"))
    assert run(pytester, "-n0").ret == 0
    assert not left.exists()


def full(*given: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_where_there_is_no_room_for_temporary_files_the_store_has_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    assert Path(make_exchange_folder(tmp_path / "spare")).parent == tmp_path / "spare"
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MemkitError, match=r"temporary files can be written neither to .* nor to .*/spare; free space"):
        make_exchange_folder(tmp_path / "spare")


def test_a_board_that_cannot_be_written_ends_the_run_once(tmp_path: Path) -> None:
    messages = Messages(tmp_path / "gone" / "messages.jsonl")
    messages.close("nobody is kept from ending")
    messages = Messages(tmp_path / "gone" / "messages.jsonl")
    with pytest.raises(
        MemkitError, match=r"the run cannot continue: .*messages.jsonl cannot be written \(No such file.*TMPDIR"
    ):
        messages.settle("lab/a", "decided")
    messages.settle("lab/b", "decided")


FULL = """
    import errno, pathlib

    posts = []
    opened = pathlib.Path.open

    def open(path, mode="r", *given, **named):
        if path.name == "messages.jsonl" and mode == "a":
            posts.append(path)
            if len(posts) > 5:
                raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, mode, *given, **named)

    pathlib.Path.open = open
"""


def test_a_full_disk_under_temporary_files_leaves_the_evidence(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "open", Path.open)  # put back what the conftest replaces
    write_suite(pytester, *(canned(name) for name in "abcd"))
    pytester.makeconftest(FULL)
    result = run(pytester, "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the run cannot continue: *messages.jsonl cannot be written (No space left*"])
    assert any(entry["observations"] for entry in evidence(pytester).values())


def test_what_is_no_text_costs_no_evidence(pytester: pytest.Pytester) -> None:
    odd = canned("odd").replace('"treatment": 0.9', '"treatment": {"score": 0.9, chr(0xDCFF): 1}')
    write_suite(pytester, odd, canned("skipping", body="pytest.skip('no file ' + chr(0xDCFF))"), canned("true"))
    assert run(pytester, "-n0").ret == pytest.ExitCode.TESTS_FAILED  # workers of pytest-xdist send no such text
    assert verdict(pytester, "true") == "SUPPORTED"
    assert "must be a Unicode string" in next(iter(evidence(pytester)["lab/odd"]["failures"].values()))
    command(pytester, "verdicts").stdout.fnmatch_lines(["lab/true*SUPPORTED*"])
