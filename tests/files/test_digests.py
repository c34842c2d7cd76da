"""SHA-256 of files."""

from pathlib import Path

import pytest

from enct5.files.digests import digest


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (((1 << 20) + 3) * b"a", "f5e25b6b994188fdb721357d459785dc479934edfd40f95658a45ab2ce2d8027"),
    ],
    ids=["nothing", "abc", "more than is read at once"],
)
def test_it_is_what_others_compute(tmp_path: Path, content: bytes, expected: str) -> None:
    """Examples of FIPS 180-2, and the output of `sha256sum`."""
    (tmp_path / "file").write_bytes(content)
    assert digest(tmp_path / "file") == expected


def test_a_file_in_the_home_folder_has_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_bytes(b"a")
    assert digest("~/a.csv") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_what_is_no_file_has_none(tmp_path: Path) -> None:
    assert digest("imdb:train") is None
    assert digest(tmp_path) is None
