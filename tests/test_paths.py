"""The search for the root folder of a project, and for its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from memkit import MemkitError
from memkit.paths import project_root, settings_file


def make(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()


@pytest.mark.parametrize(
    ("files", "places", "root"),
    [
        (["p/claims/claims.lock"], ["p/claims/deep/test_x.py"], "p"),
        (["p/claims/claims.lock"], ["p/claims"], "p"),
        (["p/claims/claims.lock"], ["p"], "p"),
        (["p/claims/claims.lock"], ["p/tests/test_y.py"], "p"),
        (["p/claims.lock"], ["p/sub/test_x.py"], "p"),
        (["p/claims/claims.lock", "p/claims/pyproject.toml", "p/claims/a/pytest.ini"], ["p/claims/a"], "p"),
        (["p/claims/claims.lock", "p/q/claims.lock"], ["p/q/test_x.py"], "p/q"),
        (["p/claims/claims.lock"], ["p/claims", "elsewhere"], "p"),
        (["p/pyproject.toml"], ["p/a/test_x.py", "p/b"], "p"),
        (["p/pyproject.toml", "p/a/pytest.ini"], ["p/a/test_x.py"], "p/a"),
        (["p/pyproject.toml", "p/a/pytest.ini"], ["p/a", "p/b"], "p"),
        (["p/.git"], ["p/a/b"], "p"),
        (["p/a/test_x.py"], ["p/a/test_x.py"], "p/a"),
        (["p/claims/test_x.py"], ["p/claims"], "p"),
        (["p/claims/deep/test_x.py"], ["p/claims/deep/test_x.py"], "p"),
        (["p/a/test_x.py", "p/b/test_x.py"], ["p/a/test_x.py", "p/b/test_x.py"], "p"),
    ],
)
def test_the_root_is_found_from_the_claims(tmp_path: Path, files: list[str], places: list[str], root: str) -> None:
    make(tmp_path, *files)
    for place in places:
        if not place.endswith(".py"):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
    assert project_root(tmp_path / place for place in places) == tmp_path / root


def test_a_missing_path_belongs_to_the_project_above_it(tmp_path: Path) -> None:
    make(tmp_path, "p/claims/claims.lock")
    assert project_root([tmp_path / "p" / "no" / "such" / "test_x.py"]) == tmp_path / "p"


def test_a_link_leads_to_the_project_that_it_points_to(tmp_path: Path) -> None:
    make(tmp_path, "p/claims/claims.lock", "q/pytest.ini")
    (tmp_path / "q" / "claims").symlink_to(tmp_path / "p" / "claims")
    assert project_root([tmp_path / "q" / "claims"]) == tmp_path / "p"


def test_two_locks_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "p/claims/claims.lock", "q/claims.lock")
    with pytest.raises(MemkitError, match=r"two locks, of .*/p and of .*/q; run the claims of one project at a time"):
        project_root([tmp_path / "p" / "claims", tmp_path / "q"])


def test_settings_come_from_the_nearest_file_above(tmp_path: Path) -> None:
    make(tmp_path, "pyproject.toml", "p/claims/claims.lock")
    assert settings_file(tmp_path / "p") == tmp_path / "pyproject.toml"
    make(tmp_path, "p/pyproject.toml")
    assert settings_file(tmp_path / "p") == tmp_path / "p" / "pyproject.toml"
