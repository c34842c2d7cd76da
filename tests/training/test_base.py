"""A base that tasks are added to: how much of a text they read together."""

import pytest

from enct5 import EncT5Config
from enct5.tasks.multi_task import MultiTask, NamedTask
from enct5.tasks.registry import find_task
from enct5.tokenization.fast_tokenizer import NO_LIMIT
from enct5.training.base import Base
from enct5.training.config import TrainConfig


@pytest.mark.parametrize(("longest", "says"), [(512, True), (NO_LIMIT, False)])
def test_a_base_that_only_tags_says_that_long_texts_are_read_in_another_way(
    longest: int, says: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base = Base("tagger", EncT5Config(problem_type="token_classification", num_labels=3, decoder_vocab_size=0))
    monkeypatch.setitem(base.__dict__, "tasks", {"places": base.config})
    tasks = {"mood": "mood"}
    config = TrainConfig(data="x.csv", text=("text",), out="run", base="tagger", max_length=100, add_tasks=tasks)
    added = MultiTask([NamedTask("mood", find_task("single_label_classification"), {})])
    assert base.config.num_prompts == 0
    assert base.read_alike(config, added, longest).max_length == 100
    told = [record.getMessage() for record in caplog.records]
    assert [message.startswith("texts of more than 512 tokens may get other tags than tagger") for message in told] == (
        [True] if says else []
    )
