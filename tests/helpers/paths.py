"""Places of files that tests read."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A unigram tokenizer of 8,192 pieces that knows ASCII letters and little more, so that there are unknown characters.
TOKENIZER = Path(__file__).parent / "tokenizer"

SHARED = ROOT.parent / "shared"


def shared(*parts: str) -> Path:
    """A file or folder beside the repository; the test is skipped where there is none."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {path.name} of the shared test data, which is not here")
    return path
