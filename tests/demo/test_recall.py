"""``memkit demo recall`` with an untrained model, which recalls through its memory what was read once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit.cli import main
from memkit.demo import recall as demo
from memkit.demo.characters import CHARACTERS, LANGUAGE
from memkit.errors import MemkitError
from memkit.store.store import Store
from memkit.training.building import build
from memkit.training.trainer import train
from tests.machines.fixtures import one_thread

__all__ = ["one_thread"]

FACT = "Zog the wizard keeps 77 purple jackdaws."


@pytest.fixture(scope="module")
def model() -> Any:
    return build(CHARACTERS, [demo.SEED]).eval()


@pytest.fixture
def untrained(model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the command use an untrained model instead of training one."""
    monkeypatch.setenv("MEMKIT_STORE", str(tmp_path))
    monkeypatch.setattr(demo, "trained", lambda store, progress=None: model)


@pytest.mark.usefixtures("untrained")
def test_a_sentence_is_read_once_and_completed_only_with_the_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "recall", "--fact", FACT]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line.startswith(("on ", "off ", "shuffled "))}
    assert list(rows) == ["on", "off", "shuffled"]
    assert "wizard keeps 77 purple jackdaws." in rows["on"]
    assert all("jackdaws" not in rows[name] for name in ("off", "shuffled"))
    nats = {name: float(row.split()[-1]) for name, row in rows.items()}
    assert nats["on"] < min(nats["off"], nats["shuffled"])
    assert "The weights are the same in all three rows" in lines[-1]


@pytest.mark.usefixtures("untrained")
def test_a_cue_may_be_anywhere_in_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "recall", "--fact", FACT, "--cue", " wizard keeps "]) == 0
    out = capsys.readouterr().out
    assert "wizard keeps \n" in out
    assert "77 purple jackdaws." in out


@pytest.mark.usefixtures("untrained")
def test_the_user_is_asked_for_a_sentence_if_none_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda prompt: f"  {FACT} ")
    assert main(["demo", "recall"]) == 0
    assert f"text:  {FACT}\n" in capsys.readouterr().out

    def end_of_input(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", end_of_input)
    assert main(["demo", "recall"]) == 4
    assert capsys.readouterr().err == "memkit: no fact was typed; give one with --fact 'TEXT'\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fact", "  "], "the fact is empty; give a sentence"),
        (["--fact", "Two words"], "the fact 'Two words' has 2 words; give three or more"),
        (["--fact", "Word"], "the fact 'Word' has 1 word; give three or more"),
        (["--fact", "The fact 日 is"], "the fact has the character '日', which the model does not know"),
        (["--fact", "a " * 100], "the fact has 199 characters, but only 110 fit into a context; shorten it by 89"),
        (
            ["--fact", FACT, "--cue", "Gandalf the"],
            "the cue 'Gandalf the' does not occur in the fact; give consecutive whole words",
        ),
        (["--fact", FACT, "--cue", "og the"], "the cue 'og the' does not occur in the fact"),
        (["--fact", FACT, "--cue", "purple jackdaws."], "nothing comes after the cue 'purple jackdaws.' in the fact"),
        (["--fact", FACT, "--cue", " "], "the cue is empty; give some words of the fact, such as 'Zog the'"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence_before_any_training(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "recall", *arguments, "--store", str(tmp_path / "store")]) == 4
    err = capsys.readouterr().err
    assert err.startswith(f"memkit: {sentence}")
    assert err.count("\n") == 1
    assert not (tmp_path / "store").exists()


WORD = st.text(st.sampled_from([name for name in LANGUAGE.characters.names if name.strip()]), min_size=1, max_size=6)


@settings(max_examples=6, deadline=None)
@given(words=st.lists(WORD, min_size=3, max_size=5))
def test_any_sentence_of_the_corpus_characters_is_accepted(model: Any, words: list[str]) -> None:
    fact = " ".join(words)
    result = demo.recall(model, fact)
    assert result.cue == " ".join(words[:2])
    assert result.context.endswith(f" {result.cue} ")
    on, off, shuffled = result.answers
    assert (on.memory, off.memory, shuffled.memory) == ("on", "off", "shuffled")
    assert all(len(answer.text) == len(result.ending) for answer in result.answers)
    assert result.verdict.endswith(".")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (("x", 0.1, "y", 3.0, "z", 4.0), "comes from the memory"),
        (("x", 0.1, "x", 0.2, "z", 4.0), "shows nothing about the memory"),
        (("w", 0.1, "y", 3.0, "z", 4.0), "does not recall it"),
        (("w", 3.1, "y", 3.0, "z", 4.0), "does not help here"),
    ],
)
def test_the_verdict_states_the_result(answers: tuple[Any, ...], words: str) -> None:
    names = ("on", "off", "shuffled")
    completions = tuple(demo.Completed(name, *answers[2 * i : 2 * i + 2]) for i, name in enumerate(names))
    assert words in demo.Recalled("a b", "x", "… a b ", completions).verdict


def test_the_model_is_trained_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trained, shares = [], list[float]()

    def train_briefly(recipe: Any, seeds: Any, **options: Any) -> Any:
        trained.append(list(seeds))
        return train(recipe.with_(steps=1, batch=1), seeds, **options)

    monkeypatch.setattr("memkit.recipes.backends.train", train_briefly)
    for _ in range(2):
        demo.trained(Store(tmp_path), progress=shares.append)
    assert trained == [[demo.SEED]]
    assert shares[-1] == 1.0


def test_the_message_for_a_long_sentence_says_how_much_to_remove() -> None:
    fits = "a b " + "c" * (demo.ROOM - 4)
    assert demo.sentence(fits) == fits
    with pytest.raises(MemkitError, match="shorten it by 1"):
        demo.sentence(f"{fits}c")
