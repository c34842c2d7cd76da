"""What comes with the package: a tiny T5 checkpoint of two kinds, and labelled messages for the demo."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def bundled_t5(pairs: bool = False) -> Path:
    """The folder of a bundled T5 checkpoint (tiny, English, for demos and small jobs; see its README.md).

    Args:
        pairs: The one that has also learned to compare two texts, at some cost in what it knows of single ones.
    """
    return _FOLDER / ("t5-tiny-pairs" if pairs else "t5-tiny")


def demo_data(split: str) -> Path:
    """The demo's labelled messages: `train`, `validation` or `test`."""
    return _FOLDER / "demo" / f"{split}.jsonl"
