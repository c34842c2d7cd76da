"""transformers' own common tests, from the source archive of the installed release: they are not part of its wheel.

The archive is downloaded once, by pip. Sub-packages that the two files import and the archive lacks are stand-ins;
the values that every configuration has to take are ours.
"""

import importlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType

import pytest
import transformers

from helpers.paths import ROOT

PACKAGE = "transformers_own_tests"
FILES = ("test_modeling_common.py", "test_configuration_common.py")
STAND_INS = {
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "utils/test_configuration_utils.py": """config_common_kwargs = {
    "return_dict": False,
    "output_hidden_states": True,
    "output_attentions": True,
    "dtype": "float16",
    "chunk_size_feed_forward": 2,
    "architectures": ["EncT5ForSequenceClassification"],
    "id2label": {0: "score"},
    "label2id": {"score": 0},
    "problem_type": "regression",
}
""",
}


def _download(folder: Path) -> None:
    """Unpack what is needed into a folder that appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    release = f"transformers=={transformers.__version__}"
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", release]
        pip += ["--retries", "0", "--dest", temporary]  # offline, every run of the tests would wait for retries
        try:
            subprocess.run(pip, check=True, capture_output=True, timeout=300)
            (archive,) = Path(temporary).glob("*.tar.gz")
        except (subprocess.SubprocessError, ValueError):
            pytest.skip(f"needs the source archive of {release}, which cannot be downloaded", allow_module_level=True)
        package = Path(temporary, "new", PACKAGE)
        for name, content in STAND_INS.items():
            (package / name).parent.mkdir(parents=True)
            (package / name).parent.joinpath("__init__.py").touch()
            (package / name).write_text(content, encoding="utf-8")
        (package / "__init__.py").touch()
        with tarfile.open(archive) as files:
            for name in FILES:
                member = files.extractfile(f"transformers-{transformers.__version__}/tests/{name}")
                assert member is not None
                (package / name).write_bytes(member.read())
        try:
            os.replace(package.parent, folder)
        except OSError:  # another worker was faster
            shutil.rmtree(package.parent)


def common_tests() -> list[ModuleType]:
    """The modules of `FILES`; skips the calling module where they cannot be had."""
    pytest.importorskip("parameterized", reason="transformers' tests need parameterized")
    folder = ROOT / ".pytest_cache" / f"transformers-{transformers.__version__}"
    if not folder.is_dir():
        _download(folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return [importlib.import_module(f"{PACKAGE}.{name.removesuffix('.py')}") for name in FILES]
