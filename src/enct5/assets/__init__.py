"""What comes with the package: a small T5 checkpoint, and labelled messages for the demo."""

from pathlib import Path

BUNDLED = "bundled"  # the name of the T5 checkpoint that comes with the package

_FOLDER = Path(__file__).parent


def bundled_t5() -> Path:
    """The folder of the bundled T5 checkpoint (small, English, for demos and small jobs; see its README.md)."""
    return _FOLDER / "t5-tiny"


def demo_data(split: str) -> Path:
    """The demo's labelled messages: `train`, `validation` or `test`."""
    return _FOLDER / "demo" / f"{split}.jsonl"
