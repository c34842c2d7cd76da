"""Runs that tests of several files look at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.tagging_runs import TaggingRun


@pytest.fixture(scope="session")
def tagging_run(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TaggingRun]:
    """Makes (once a test session and set of arguments) a finished run of a tagger."""
    made: dict[str, TaggingRun] = {}

    def make(text: str, label: str, **options: object) -> TaggingRun:
        key = repr((text, label, options))
        if key not in made:
            made[key] = TaggingRun(t5_folder(), tmp_path_factory.mktemp("tagging"), text, label, **options)
        return made[key]

    return make
