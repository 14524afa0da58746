"""Calls of git, which only read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TIMEOUT = 10
"""The seconds after which a query is given up."""


class GitError(Exception):
    """The failure of a git command; the message gives the reason."""


def git(folder: Path, *arguments: str, given: bytes | None = None, timeout: float = TIMEOUT) -> bytes:
    """Return the output of a git command as bytes, since the name of a file need not be valid text.

    Args:
        folder: the folder to run it in.
        arguments: the command and its arguments.
        given: what it reads from its standard input.
        timeout: the seconds after which it is given up.

    Raises:
        GitError: git fails, takes too long or cannot be run.
    """
    # Messages in English, whatever the user's language. A query must not take locks or start a file monitor.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        process = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=timeout, check=True, env=environment, input=given
        )
    except subprocess.TimeoutExpired:
        raise GitError(f"git {arguments[0]} took longer than {timeout:g} s") from None
    except subprocess.CalledProcessError as error:
        message = error.stderr.decode("utf-8", "backslashreplace").strip().partition("\n")[0].removeprefix("fatal: ")
        raise GitError(message or f"git {arguments[0]} ended with {error.returncode}") from None
    except OSError as error:
        raise GitError(f"git could not be run ({error.strerror})") from None
    return process.stdout
