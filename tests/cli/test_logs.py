"""What is logged is the command's output, in lines, at once."""

import io
import logging
import sys

import pytest

from enct5.cli.logs import is_main_process, shown

LOGGER = logging.getLogger("enct5.training.run")
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


class Flushed(io.StringIO):
    """Keeps what had been written when it was flushed."""

    seen = ""

    def flush(self) -> None:
        self.seen = self.getvalue()


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RANKS:
        monkeypatch.delenv(name, raising=False)


def test_a_command_shows_lines_at_once_where_standard_output_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    with shown():
        stream = Flushed()  # as that of a progress bar, which takes the place of the one before
        monkeypatch.setattr(sys, "stdout", stream)
        LOGGER.info("50% of\x1b[2J it")
        assert stream.seen == "50% of\\x1b[2J it\n"
        LOGGER.warning("warning: %s", "odd")
        LOGGER.debug("nothing to tell")
        logging.getLogger("enct5.inference.bench").info("measuring")
    assert stream.seen == "50% of\\x1b[2J it\nwarning: odd\nmeasuring\n"


def test_a_command_leaves_other_records_to_python(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with shown():
        logging.getLogger("enct5.inference.predictor").warning("slower")
        logging.getLogger("enct5.model.conversion").info("3 tensors copied")
        LOGGER.info("shown once")
    assert capsys.readouterr().out == "shown once\n"
    assert caplog.messages == ["slower"]


def test_loggers_are_as_before_behind_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("enct5.training")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with pytest.raises(KeyboardInterrupt), shown():
        raise KeyboardInterrupt
    assert (logger.level, logger.propagate, list(logger.handlers)) == before
    LOGGER.info("not shown")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", RANKS)
def test_of_several_processes_the_first_shows_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for number in ("0", "1"):
        monkeypatch.setenv(name, number)
        assert is_main_process() == (number == "0")
        with shown():
            LOGGER.warning(f"process {number}")
    assert capsys.readouterr() == ("process 0\n", "")


def test_a_reader_that_has_gone_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    with shown(), pytest.raises(BrokenPipeError):
        LOGGER.info("a line")
