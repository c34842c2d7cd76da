"""HTML pages made of the package's templates: what comes from texts and labels is escaped."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from enct5.errors import EncT5Error


def render(template: str, **values: Any) -> str:
    """Fill a template in.

    Args:
        template: Its file name in the package's templates.
        values: What it shows; a name that is missing is an error, not a blank.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("enct5"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(**values)


def write(page: str, path: Path) -> None:
    """Write a page, whole or not at all.

    Raises:
        EncT5Error: When the file cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(page, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise EncT5Error(f"cannot write {path}: {error.strerror}; choose another file") from error
