"""Records of what runs found for claims, so that a later run of changed code can be compared with them.

Measurements are stored by keys, which change with the code. The records are stored by claim: one file per store, with
one line per claim that was judged on deciding seeds. A line is appended in one system call; one that cannot be read is
skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

from memkit.store.store import Store
from memkit.store.verified_files import append_line, read_regular_file


def load_claim_records(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return claim id → its records, the oldest first; empty if there are none, or if the file cannot be read."""
    records: dict[str, list[dict[str, Any]]] = {}
    with contextlib.suppress(OSError):
        for line in read_regular_file(_file(store)).splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                record = json.loads(line)
                if isinstance(record, dict) and isinstance(record.get("claim"), str):
                    records.setdefault(record["claim"], []).append(record)
    return records


def append_claim_record(store: Store, record: Mapping[str, Any]) -> None:
    """Append a record with the id of its claim under "claim"; do nothing if the store cannot be written.

    The verdict of the run does not depend on it, and a store that cannot be written is reported for measurements.
    """
    line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        append_line(_file(store), b"\n" + line + b"\n", store.root)


def _file(store: Store) -> str:
    return os.path.join(store.root, "claims.jsonl")
