"""The `enct5` command: arguments in, one line of text for every mistake; the work is done in the other folders.

Commands import what they need when they run, so that `enct5 --help` waits for no library; and what can be wrong is told
before torch is imported (`libraries.load`), which takes seconds.
"""

import os
import sys
from typing import Annotated

import typer

from enct5.cli.check import check
from enct5.cli.convert import convert, export, merge
from enct5.cli.logs import shown
from enct5.cli.once import OnceCommand
from enct5.cli.options import say, speaks
from enct5.cli.predict import bench, evaluate, explain, info, predict
from enct5.cli.serve import serve
from enct5.cli.settings import SettingsCommand
from enct5.cli.train import distill, train
from enct5.errors import EncT5Error, InterruptedByUserError, printable, show
from enct5.extras import need

app = typer.Typer(
    name="enct5",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from enct5.version import __version__

        say(f"enct5 {__version__}")
        raise typer.Exit


@app.callback()
def enct5(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn a T5 checkpoint into a fast, trustworthy classifier (EncT5, arXiv 2110.08426 v2)."""


for training in (train, distill):
    app.command(cls=SettingsCommand)(training)
for command in (check, evaluate, predict, explain, serve, convert, merge, export, bench, info):
    app.command(cls=OnceCommand)(command)


@app.command(cls=OnceCommand)
def demo(
    out: Annotated[str | None, typer.Option(help="Keep the run folder here; default: a temporary one.")] = None,
) -> None:
    """Train four tasks on the bundled messages from the bundled T5, and show what the model makes of new ones."""
    need("train", "`enct5 demo`")
    from enct5.cli import demo

    demo.run(out)


def _described(error: typer.TyperException) -> str:
    """The error's text in one line, with the value it is about, which typer leaves out."""
    from pydantic import ValidationError

    text = " ".join(getattr(error, "format_message", error.__str__)().split()).rstrip(".").replace("Value error, ", "")
    problems = error.__cause__.errors() if isinstance(error.__cause__, ValidationError) else []
    return text + "".join(f" (given: {show(problem['input'])})" for problem in problems)


def main() -> None:
    """Run the command; a user's mistake ends with one line on stderr and status 2, Ctrl-C with 130."""
    failed = 2
    try:
        with shown():
            status = app(args=sys.argv[1:] or ["--help"], prog_name="enct5", standalone_mode=False)
        sys.stdout.flush()
    except EncT5Error as error:
        message = " ".join(str(error).split())
        failed = 130 if isinstance(error, InterruptedByUserError) else failed
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        message = f"{_described(error)}; see {context.command_path if context else 'enct5'} --help"
    except (KeyboardInterrupt, typer.Abort):
        message, failed = "interrupted", 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    else:
        sys.exit(status if isinstance(status, int) else 0)
    if speaks():
        print(f"enct5: {printable(message)}", file=sys.stderr)
    sys.exit(failed)
