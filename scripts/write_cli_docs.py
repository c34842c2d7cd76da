"""Write docs/cli.md from the command's own help: `python scripts/write_cli_docs.py`."""

from pathlib import Path

from typer.testing import CliRunner

from enct5.cli.command import app

COMMANDS = [command.callback.__name__ for command in app.registered_commands if command.callback]
DOCS = Path(__file__).parents[1] / "docs" / "cli.md"


def cli_docs() -> str:
    """The text of docs/cli.md."""
    runner = CliRunner()
    parts = ["# Command line\n\nWritten by `scripts/write_cli_docs.py`; a test compares it with the command.\n"]
    for command in ("", *COMMANDS):
        arguments = [command, "--help"] if command else ["--help"]
        output = runner.invoke(
            app, arguments, prog_name="enct5", env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"}
        ).output
        text = "\n".join(line.rstrip() for line in output.strip().splitlines())
        parts.append(f"## enct5 {command}".rstrip() + f"\n\n```\n{text}\n```\n")
    parts.append(
        "A mistake in the input ends with one line on stderr and exit status 2. "
        "Ctrl-C ends with status 130 and leaves a run that `--resume` continues.\n"
    )
    return "\n".join(parts)


if __name__ == "__main__":
    DOCS.write_text(cli_docs(), encoding="utf-8")
