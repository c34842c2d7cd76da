"""What README and docs hold."""

import re

from helpers.paths import ROOT


def python_blocks(document: str) -> list[str]:
    """The Python of a document, block by block."""
    return re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)
