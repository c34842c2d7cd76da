"""HTML and Markdown pages made of the package's templates: what comes from texts and labels is escaped."""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup

# What Markdown would take for markup in a file or label name; an underscore inside a word is none.
_MARKUP = re.compile(r"[\\`*\[\]<>|&#~]|(?<![^\W_])_|_(?![^\W_])")


def render(template: str, **values: Any) -> str:
    """Fill a template in.

    Names are escaped everywhere in HTML. Markdown's code blocks must stay as they are, so its templates say where: by
    the filter `plain`.

    Args:
        template: Its file name in the package's templates.
        values: What it shows; a name that is missing is an error, not a blank.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("enct5.reports"),
        autoescape=template.endswith(".html.jinja"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"plain": _plain, "breakable": _breakable}
    return environment.get_template(template).render(**values)


def _breakable(name: str) -> "Markup":
    """A name that may go on in the next line behind an underscore."""
    from markupsafe import Markup, escape

    return escape(name).replace("_", Markup("_<wbr>"))


def _plain(value: object) -> str:
    """Make text one line that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(value).split()))
