"""A name on the hub may name its revision; the token is that of the block."""

from pathlib import Path

import pytest

from enct5.errors import EncT5Error
from enct5.files.hub_names import hub_token, on_hub, split_revision, with_revision


@pytest.mark.parametrize(
    ("source", "name", "revision"),
    [
        ("org/name", "org/name", None),
        ("org/name@v1.0", "org/name", "v1.0"),
        ("name@refs/pr/1", "name", "refs/pr/1"),
        ("/some/folder", "/some/folder", None),
    ],
)
def test_a_revision_stands_behind_the_name(source: str, name: str, revision: str | None) -> None:
    assert split_revision(source) == (name, revision)
    assert on_hub(source) == (name, {} if revision is None else {"revision": revision})


def test_what_is_here_has_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "me@home").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in ("me@home", str(tmp_path / "me@home"), "~/me@home"):
        assert split_revision(source) == (source, None)


def test_two_ways_to_name_one_revision() -> None:
    assert on_hub("org/name", "dev") == on_hub("org/name@dev") == on_hub("org/name@dev", "dev")
    assert with_revision("org/name", "dev") == with_revision("org/name@dev", "dev") == "org/name@dev"
    assert with_revision("org/name", None) == "org/name"
    with pytest.raises(
        EncT5Error, match=r"^org/name@dev names a revision, and `revision` \(--revision\) is `main`; leave"
    ):
        on_hub("org/name@dev", "main")


def test_the_token_of_the_innermost_block_unless_one_is_given() -> None:
    with hub_token("a"):
        with hub_token("b"):
            assert on_hub("x") == ("x", {"token": "b"})
        assert on_hub("x", token="c") == ("x", {"token": "c"})
        with hub_token(None):
            assert on_hub("x") == ("x", {})
        assert on_hub("x") == ("x", {"token": "a"})
    assert on_hub("x") == ("x", {})
