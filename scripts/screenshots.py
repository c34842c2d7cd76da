"""Draw the pictures of README and docs: a run's report, and the page of an explanation.

    DEMO=src/enct5/assets/demo
    enct5 train $DEMO/train.jsonl --eval $DEMO/validation.jsonl --text text --label intent --epochs 5 --out runs/intents
    python scripts/screenshots.py runs/intents

needs Chromium.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from enct5 import Predictor
from enct5.reports import explanation_page

IMAGES = Path(__file__).parents[1] / "docs" / "images"
TEXT = "Your reversed payment got reversed again! Where is my refund?"
_MOST_BYTES = 120_000
_QUIET = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


def draw(page: Path, image: Path, width: int, height: int, chromium: str) -> None:
    """Draw the top of a page as a PNG file.

    Args:
        page: An HTML file.
        image: The file to write.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
        chromium: The browser's command.

    Raises:
        SystemExit: If the page is not there, or the picture larger than a README should load.
    """
    if not page.is_file():
        raise SystemExit(f"no {page}; give a finished run folder")
    with tempfile.TemporaryDirectory() as profile:
        window = (f"--window-size={width},{height}", "--hide-scrollbars", f"--user-data-dir={profile}", "--no-sandbox")
        command = [chromium, *_QUIET, *window, f"--screenshot={image}", page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    if (size := image.stat().st_size) > _MOST_BYTES:
        raise SystemExit(f"{image} has {size:,} bytes, more than {_MOST_BYTES:,}; draw less of the page")


def main() -> None:
    """Draw both pages of the run folder that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run folder of that command")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium", help="the browser's command")
    arguments = parser.parse_args()
    draw(arguments.run / "report.html", IMAGES / "report.png", 1000, 1010, arguments.chromium)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "why.html"
        explanation_page.write(Predictor.from_pretrained(str(arguments.run)).explain(TEXT), page)
        draw(page, IMAGES / "explanation.png", 1000, 900, arguments.chromium)


if __name__ == "__main__":
    main()
