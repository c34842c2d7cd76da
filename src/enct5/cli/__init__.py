"""The `enct5` command."""

from enct5.cli.command import app, main

__all__ = ["app", "main"]
