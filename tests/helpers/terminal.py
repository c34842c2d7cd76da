"""A terminal for tests: runs a command in it, and knows what stands on its screen."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

# Escape sequences, control characters, and anything else.
_PARTS = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")
_BAR = re.compile(r"[━╸╺]{5} +\d+/\d+ (--|\d\d):(--|\d\d)$")


class Screen:
    """What a terminal shows, as far as a line of progress needs it.

    Attributes:
        columns: its width.
        lines: its lines, from the first one.
        bars: the most bars that were there at a time.
    """

    def __init__(self, columns: int) -> None:
        self.columns, self.lines, self.row, self.column, self.bars = columns, [""], 0, 0, 0

    def write(self, text: str) -> None:
        """Show what a program wrote."""
        position = 0
        for part in _PARTS.finditer(text):
            assert part.start() == position, f"unknown: {text[position : part.start()]!r}"
            position = part.end()
            count, command, control, plain = part.groups()
            if plain:
                for character in plain:
                    self._put(character)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
            elif command == "A":
                self.row = max(0, self.row - int(count or 1))
            elif command == "K":
                assert count == "2"
                self.lines[self.row] = ""
            else:
                assert command in ("m", "h", "l"), part[0]  # colours, and whether the cursor is seen
            self.bars = max(self.bars, sum(_BAR.search(line) is not None for line in self.lines))
        assert position == len(text), f"unknown: {text[position:]!r}"

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _put(self, character: str) -> None:
        if self.column == self.columns:
            self._down()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
        self.column += 1


def run(command: list[str], columns: int, folder: Path) -> tuple[int, Screen]:
    """Run a command with a terminal for all its streams; its status, and the screen at its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        environment.pop(name, None)
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux tells that the other end is closed
                break
            if not part:
                break
            written += part
    os.close(ours)
    screen = Screen(columns)
    screen.write(written.decode())
    return process.returncode, screen
