"""The wheel and the source archive hold what git tracks, no less and no more, and the wheel works by itself."""

import email
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import enct5
from helpers.paths import ROOT

DIST_INFO = f"enct5-{enct5.__version__}.dist-info"

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(kind: str, source: Path, to: Path) -> Path:
    """Build with the installed hatchling: nothing is downloaded."""
    run(sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", to, cwd=source)
    (built,) = to.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("needs the git repository, to know which files are the project's")
    return set(run("git", "ls-files", "-z").rstrip("\0").split("\0"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="needs hatchling (the `dev` extra)")
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="needs hatchling (the `dev` extra)")
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_byte_for_byte_and_nothing_else(wheel: Path, tracked: set[str]) -> None:
    found = contents(wheel)
    package = {name.removeprefix("src/"): (ROOT / name).read_bytes() for name in tracked if name.startswith("src/")}
    about = {name for name in found if name.startswith(f"{DIST_INFO}/")}
    assert {name: content for name, content in found.items() if name not in about} == package
    assert about == {
        f"{DIST_INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    # The comparison would hold for an empty package too.
    assert {
        "enct5/py.typed",
        "enct5/assets/t5-tiny/model.safetensors",
        "enct5/reports/templates/report.html.jinja",
    } <= set(package)


def test_the_metadata_says_what_the_files_say(wheel: Path) -> None:
    found = contents(wheel)
    metadata = email.message_from_string(found[f"{DIST_INFO}/METADATA"].decode())
    assert (metadata["Name"], metadata["Version"]) == ("enct5", enct5.__version__)
    assert (metadata["License-Expression"], metadata["License-File"]) == ("Apache-2.0", "LICENSE")
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert re.match(r"\s*Apache License\s+Version 2\.0, January 2004\s", licence)
    assert found[f"{DIST_INFO}/licenses/LICENSE"].decode() == licence
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert found[f"{DIST_INFO}/entry_points.txt"].decode().split() == [
        "[console_scripts]",
        "enct5",
        "=",
        "enct5.cli:main",
    ]


def test_the_source_archive_holds_tracked_files_and_makes_the_same_wheel(
    sdist: Path, wheel: Path, tracked: set[str], tmp_path: Path
) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    assert names - {"PKG-INFO"} <= tracked
    wanted = ("src/", "tests/", "docs/", "scripts/")
    assert {name for name in tracked if name.startswith(wanted)} <= names
    again = build("wheel", tmp_path / f"enct5-{enct5.__version__}", tmp_path / "again")
    assert contents(again) == contents(wheel)


def test_the_installed_wheel_works_outside_the_repository(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    run(*pip, "--target", site, wheel)
    code = """
import enct5, enct5.assets
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(enct5.assets.bundled_t5())
print(enct5.__file__, enct5.__version__, len(tokenizer), enct5.assets.demo_data("train").is_file())
"""
    printed = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(site))
    assert printed.split() == [str(site / "enct5" / "__init__.py"), enct5.__version__, "26360", "True"]
    commands = run(site / "bin" / "enct5", "--help", cwd=tmp_path, PYTHONPATH=str(site))
    assert {"train", "predict", "evaluate", "convert", "demo"} <= set(commands.split())
    bundled = site / "enct5" / "assets" / "t5-tiny"
    convert = (site / "bin" / "enct5", "convert", bundled, "out", "--num-labels", 3)
    assert "copied and compared" in run(*convert, cwd=tmp_path, PYTHONPATH=str(site))
    assert "EncT5" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")  # from a template
