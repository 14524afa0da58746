"""Corpora: encoding and decoding, the windows that are drawn, and the messages if a corpus is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memkit.cli import main
from memkit.errors import MemkitError
from memkit.tasks import corpus
from memkit.tasks.corpus import Characters, Source, Stretch, Words
from memkit.tasks.images import vision
from memkit.training.streams import generator

PLAY = "First Citizen: Before we proceed, hear me speak.\n\nAll: Speak, speak!\n" * 3
FILE = "tinyshakespeare.txt"
CACHES = (corpus._text, corpus.characters, corpus.words, corpus.stretch)
DOGS = "the dog sees the cat , the cat sees a bird ."


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[bytes]:
    """Replace ``shakespeare`` by a short text, whose content is the value; caches are cleared before and after."""
    content = PLAY.encode()
    source = Source(FILE, "https://example.org/play", len(PLAY), hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(corpus.SOURCES, "shakespeare", source)
    monkeypatch.delenv("MEMKIT_DATA", raising=False)
    for cache in CACHES:
        cache.cache_clear()
    yield content
    for cache in CACHES:
        cache.cache_clear()


def stretch(count: int) -> Stretch:
    return Stretch(torch.arange(count))


# --- tokens -------------------------------------------------------------------------------------------------


@given(text=st.text())
def test_characters_encode_a_text_exactly(text: str) -> None:
    tokens = Characters(text)
    assert tokens.decode(tokens.encode(text)) == text
    assert set(tokens.encode(text)) == set(range(len(tokens.names)))


@given(text=st.text(), most=st.integers(0, 5))
def test_words_encode_a_text_up_to_case_and_blanks(text: str, most: int) -> None:
    tokens = Words.of(f"{text} a", most=most)
    decoded = tokens.decode(tokens.encode(text))
    assert "".join(decoded.split()) == "".join(text.lower().split())
    assert tokens.encode(decoded) == tokens.encode(text)


@given(text=st.from_regex(r"([A-Za-z]{1,8}[ \n]+)*", fullmatch=True))
def test_any_word_of_letters_can_be_encoded(text: str) -> None:
    tokens = Words.of(DOGS, most=4)
    assert tokens.decode(tokens.encode(text)) == " ".join(text.lower().split())


def test_known_words_have_a_token_and_others_are_spelt() -> None:
    tokens = Words.of(DOGS, most=3, also=["bird", "the"])
    # Equally frequent words are in alphabetical order, and signs are always known.
    assert tokens.names[:6] == ("the", "cat", "sees", ",", ".", "bird")
    assert len(tokens.names) == 6 + 2 * 26
    encoded = tokens.encode("The bird, a dog")
    assert [tokens.names[token] for token in encoded] == ["the", "bird", ",", "a·", "d·", "·o", "·g"]
    assert tokens.encode("DOG") == tokens.spell("dog")


def test_a_known_word_can_also_be_spelt() -> None:
    tokens = Words.of(DOGS, most=3)
    assert tokens.decode([*tokens.spell("cat"), *tokens.encode("cat"), *tokens.spell("a")]) == "cat cat a"


def test_any_tokens_of_a_model_can_be_decoded() -> None:
    tokens = Words.of(DOGS, most=2)
    g, within = (tokens.names.index(name) for name in ("g·", "·o"))
    assert tokens.decode([within, within]) == "oo"
    assert tokens.decode([0, within, g, within, 0]) == "theo go the"
    assert tokens.decode([]) == ""


def test_unknown_characters_and_signs_are_named() -> None:
    with pytest.raises(MemkitError, match=r"^the character 'é' does not occur in the corpus; leave it out$"):
        Characters("abc").encode("abé")
    for sign in "é7§":
        with pytest.raises(MemkitError, match=rf"^the sign '{sign}' does not occur in the corpus; leave it out$"):
            Words.of(DOGS, most=3).encode(f"the {sign}")


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_an_empty_corpus_is_refused(text: str) -> None:
    with pytest.raises(MemkitError, match=r"^the corpus is empty; it must contain a word$"):
        Words.of(text, most=3)


# --- contexts -----------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31), count=st.integers(1, 20), length=st.integers(1, 20), many=st.integers(1, 4))
def test_windows_are_consecutive_tokens(seed: int, count: int, length: int, many: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    if length > count:
        with pytest.raises(MemkitError, match=f"a context of {length} tokens is longer than the corpus, .* {count}$"):
            stretch(count).windows(draw, length, many)
        return
    found = stretch(count).windows(draw, length, many, 2)
    assert found.shape == (many, 2, length)
    assert torch.equal(found - found[..., :1], torch.arange(length).expand_as(found))
    assert 0 <= int(found.min()) <= int(found.max()) < count


def test_windows_are_drawn_from_all_positions() -> None:
    found = stretch(7).windows(generator(0, "data"), 3, 400)[:, 0]
    assert found.unique().tolist() == [0, 1, 2, 3, 4]
    assert torch.equal(found, stretch(7).windows(generator(0, "data"), 3, 400)[:, 0])


def test_the_first_windows_are_adjacent() -> None:
    assert stretch(7).first(2, 3).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(MemkitError, match=r"^3 contexts of 3 tokens are more than the corpus has, 7$"):
        stretch(7).first(3, 3)


# --- sources ------------------------------------------------------------------------------------------------


def test_topics_is_always_available(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for root in (None, str(tmp_path)):
        monkeypatch.delenv("MEMKIT_DATA", raising=False)
        if root is not None:
            monkeypatch.setenv("MEMKIT_DATA", root)
        assert corpus.missing("topics") == ""
        assert len(corpus.text("topics")) > 100_000
        assert corpus.checksum("topics") == hashlib.sha256(corpus.text("topics").encode()).hexdigest()


def test_training_text_and_held_out_text_do_not_overlap() -> None:
    train, held_out = corpus.part("topics", "train"), corpus.part("topics", "held out")
    assert train + held_out == corpus.text("topics")
    assert len(held_out) / len(train + held_out) == pytest.approx(corpus.HELD_OUT, abs=1e-4)
    tokens = corpus.characters("topics")
    assert tokens.decode(corpus.stretch("topics", "held out", tokens).tokens.tolist()) == held_out
    with pytest.raises(MemkitError, match=r"^part='test' of a corpus must be 'train' or 'held out'$"):
        corpus.part("topics", "test")  # type: ignore[arg-type]


def test_texts_and_tokens_are_cached() -> None:
    tokens = corpus.words("topics", 100, ("nemo",))
    assert corpus.words("topics", 100, ("nemo",)) is tokens
    assert corpus.stretch("topics", "held out", tokens) is corpus.stretch("topics", "held out", tokens)
    assert corpus.characters("topics") is corpus.characters("topics")
    assert "nemo" in tokens.names


def test_an_unknown_corpus_is_named_with_the_nearest() -> None:
    calls: list[Callable[[str], object]] = [corpus.source, corpus.missing, corpus.text, corpus.checksum]
    for call in calls:
        with pytest.raises(MemkitError, match=r"^there is no corpus 'topcis'; did you mean 'topics'\?$"):
            call("topcis")


def test_a_file_is_read_from_the_data_root(play: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / FILE).write_bytes(play)
    assert corpus.text("shakespeare", tmp_path) == PLAY
    monkeypatch.setenv("MEMKIT_DATA", str(tmp_path))
    assert corpus.missing("shakespeare") == ""
    assert corpus.text("shakespeare") is corpus.text("shakespeare", tmp_path)
    tokens = corpus.words("shakespeare", 3)
    train = corpus.stretch("shakespeare", "train", tokens).tokens.tolist()
    assert tokens.decode(train).startswith("first citizen : before we proceed , hear me speak . all : speak")


def test_a_missing_file_is_explained_in_a_sentence(play: bytes, tmp_path: Path) -> None:
    sentence = corpus.missing("shakespeare")
    assert sentence.startswith(
        f"the corpus shakespeare was not found: give the folder that contains {FILE} with --data"
    )
    assert sentence.endswith("download it with `memkit data get shakespeare --to DIR`")
    with pytest.raises(MemkitError, match=r"^the corpus shakespeare was not found"):
        corpus.text("shakespeare")
    assert corpus.missing("shakespeare", tmp_path).startswith(
        f"the corpus shakespeare is not in {tmp_path}: there is no {FILE}; give another folder with --data DIR"
    )
    with pytest.raises(MemkitError, match=r"^the corpus shakespeare is not in"):
        corpus.text("shakespeare", tmp_path)


def test_another_file_of_that_name_is_an_error(play: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(play + b"\n")
    assert corpus.missing("shakespeare", tmp_path) == ""
    with pytest.raises(MemkitError, match=f"{FILE} is not the published file, as its SHA-256 differs; download it"):
        corpus.text("shakespeare", tmp_path)
    # The error is not cached.
    (tmp_path / FILE).write_bytes(play)
    assert corpus.text("shakespeare", tmp_path) == PLAY


def test_the_checksum_is_known_without_the_data(play: bytes) -> None:
    assert corpus.checksum("shakespeare") == hashlib.sha256(play).hexdigest()


def test_checksums_stay_as_they_are() -> None:
    # Checksums are part of the digests of recipes; with other ones, everything would be trained again.
    assert corpus.checksum("shakespeare").startswith("86c4e6aa9db7c042")


def test_tiny_shakespeare(real_data: Path) -> None:
    text = corpus.text("shakespeare")
    assert len(text) == corpus.source("shakespeare").characters == 1_115_394
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")
    assert len(corpus.characters("shakespeare").names) == 65


def test_the_command_line_lists_corpora_and_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEMKIT_DATA", raising=False)
    assert main(["data", "ls"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["topics"].endswith("in Python itself")
    assert "1115394 characters" in lines["shakespeare"]
    assert "memkit data get shakespeare --to DIR" in lines["shakespeare"]
    assert main(["data", "get", "topics"]) == 0
    assert main(["data", "get", "shakespeare"]) == 4
    assert main(["data", "get", "shakespear", "--to", str(tmp_path)]) == 4
    errors = capsys.readouterr().err
    assert "the data set shakespeare needs a folder; name it" in errors
    assert "did you mean 'shakespeare'?" in errors


def test_a_corpus_is_downloaded_through_torchvision_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = b"What, ho! apothecary!"
    known = corpus.Source("play.txt", "https://example.org/play", len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(corpus.SOURCES, "play", known)

    class Utils:
        @staticmethod
        def download_url(address: str, folder: str, name: str) -> None:
            assert address == known.address
            Path(folder, name).write_bytes(content)

    monkeypatch.setattr(vision, "torchvision_datasets", lambda: type("Datasets", (), {"utils": Utils}))
    assert main(["data", "get", "play", "--to", str(tmp_path)]) == 0
    assert f"play: 21 characters in {tmp_path / 'play.txt'}, verified" in capsys.readouterr().out

    def fails(address: str, folder: str, name: str) -> None:
        raise OSError("no network")

    monkeypatch.setattr(Utils, "download_url", staticmethod(fails))
    assert main(["data", "get", "play", "--to", str(tmp_path / "other")]) == 4
    assert "could not be downloaded (no network); where there is no network, copy play.txt" in capsys.readouterr().err
