"""Writes what a task and a model may offer into docs/extending.md, from memkit/training/protocols.py.

python docs/contracts.py
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from memkit.training import protocols

PAGE = Path(__file__).parent / "extending.md"
TASKS = (
    protocols.Sampler,
    protocols.Task,
    protocols.TaskWithSizes,
    protocols.TaskWithLoss,
    protocols.TaskWithChecksum,
    protocols.TaskWithData,
    protocols.AfterBatch,
    protocols.EndsEarly,
    protocols.SamplerWithValidation,
    protocols.CountedSampler,
)
MODELS = (
    protocols.SeedAxisModel,
    protocols.AfterBatch,
    protocols.AfterValidation,
    protocols.WithActiveParameters,
    protocols.WithStateSize,
    protocols.WithExampleRecords,
    protocols.WithTables,
)


def _members(contract: type) -> list[tuple[str, str]]:
    """Each member as it is written, and what its docstring says of it."""
    found = []
    for name, member in vars(contract).items():
        if isinstance(member, property):
            found.append((name, inspect.getdoc(member) or ""))
        elif inspect.isfunction(member) and member.__doc__ and name not in ("__init__", "__subclasshook__"):
            given = [p for p in inspect.signature(member).parameters if p != "self"]
            shown = {"__call__": "draw", "__len__": "len"}.get(name, name)
            found.append((f"{shown}({', '.join(given)})", inspect.getdoc(member) or ""))
    if contract is protocols.SeedAxisModel:
        found.insert(0, ("seed_axis", "`True`."))
    return found


def _plain(text: str) -> str:
    """A docstring as a line of Markdown."""
    text = re.sub(r":\w+:`[~.]*([\w.]+)`", lambda match: f"`{match[1].rpartition('.')[2]}`", text)
    return " ".join(text.replace("``", "`").split())


def table(contracts: tuple[type, ...]) -> str:
    """Return a Markdown table, a row for each member of the contracts."""
    rows = ["| what offers it | member | what it is |", "| --- | --- | --- |"]
    for contract in contracts:
        what = _plain((inspect.getdoc(contract) or "").partition("\n\n")[0])
        for number, (name, said) in enumerate(_members(contract)):
            rows.append(f"| {what if number == 0 else ''} | `{name}` | {_plain(said)} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """Return the page with its tables as they are now."""
    for name, contracts in (("tasks", TASKS), ("models", MODELS)):
        begin, end = f"<!-- contracts of {name}: written by docs/contracts.py -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{table(contracts)}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
