"""A config.json is read without transformers as `EncT5Config` reads it, and refused where that refuses it."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import StrictDataclassError
from hypothesis import given, settings
from hypothesis import strategies as st

from enct5 import EncT5Config
from enct5.export.exported_config import ExportedConfig

ATTRIBUTES = (
    *("problem_type", "id2label", "label2id", "num_labels", "thresholds", "tasks", "task_names", "num_prompts"),
    *("vocab_size", "num_heads", "pad_token_id", "encoder_window", "num_layers", "d_model", "feed_forward_proj"),
    *("num_decoder_layers", "decoder_vocab_size", "token_decoder", "has_decoder", "model_type"),
)
KINDS = ["single_label_classification", "multi_label_classification", "regression", "token_classification"]
names = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=5, unique=True)
sizes = st.integers(1, 20)


@st.composite
def heads(draw: st.DrawFn, named: bool = False) -> dict[str, Any]:
    """The keys of a task."""
    labels = draw(names)
    kinds: list[str | None] = [*KINDS] if named else [*KINDS, None]
    if len(labels) == 1:
        kinds.remove("single_label_classification")
    values: dict[str, Any] = {"problem_type": draw(st.sampled_from(kinds))}
    if named or draw(st.booleans()):
        values["id2label"] = dict(enumerate(labels))
    else:
        values["num_labels"] = len(labels)
    if values["problem_type"] == "multi_label_classification" and draw(st.booleans()):
        values["thresholds"] = draw(st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels)))
    if values["problem_type"] == "token_classification" and not named:
        values["token_decoder"] = draw(st.booleans())
    if values["problem_type"] != "token_classification" and draw(st.booleans()):
        values["decoder_vocab_size"] = draw(st.sampled_from([1, len(labels)]))
    return values


@st.composite
def configurations(draw: st.DrawFn) -> EncT5Config:
    shared = draw(
        st.fixed_dictionaries(
            {},
            optional={
                **{key: sizes for key in ("vocab_size", "num_heads", "num_layers", "d_model", "num_decoder_layers")},
                "pad_token_id": st.integers(0, 3),
                "feed_forward_proj": st.sampled_from(["relu", "gated-gelu"]),
            },
        )
    )
    if draw(st.booleans()):
        own = draw(heads())
        if own["problem_type"] != "token_classification" and draw(st.booleans()):
            shared["encoder_window"] = draw(sizes)
        return EncT5Config(**shared, **own)
    tasks = [{"name": name, **draw(heads(named=True))} for name in draw(st.permutations(["a", "b-1", "c_2"]))]
    return EncT5Config(**shared, encoder_window=draw(st.none() | sizes), tasks=tasks)


@settings(max_examples=100, deadline=None)
@given(configuration=configurations(), tokens=st.integers(0, 70))
def test_what_is_saved_is_read_alike(
    tmp_path_factory: pytest.TempPathFactory, configuration: EncT5Config, tokens: int
) -> None:
    folder = tmp_path_factory.mktemp("config", numbered=True)
    configuration.save_pretrained(folder)
    found, wanted = ExportedConfig.read(folder / "config.json"), EncT5Config.from_pretrained(folder)
    for name in ATTRIBUTES:
        assert getattr(found, name) == getattr(wanted, name), name
    assert found.window_lengths(tokens) == wanted.window_lengths(tokens)
    for task in wanted.task_names:
        for name in ATTRIBUTES:
            assert getattr(found.of_task(task), name) == getattr(wanted.of_task(task), name), name


WRONG: dict[str, dict[str, Any]] = {
    "no such problem": {"problem_type": "multi"},
    "one class": {"problem_type": KINDS[0], "id2label": {"0": "a"}},
    "labels from 1": {"id2label": {"1": "a", "2": "b"}},
    "labels without numbers": {"id2label": {"a": "b"}},
    "labels that are a list": {"id2label": ["a", "b"]},
    "a label twice": {"id2label": {"0": "a", "1": "a"}},
    "a label that is no text": {"id2label": {"0": "a", "1": 1}},
    "contradicting labels": {"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}},
    "thresholds for other labels": {"problem_type": KINDS[1], "thresholds": [0.5]},
    "a threshold above 1": {"problem_type": KINDS[1], "thresholds": [0.5, 2]},
    "thresholds that are texts": {"problem_type": KINDS[1], "thresholds": ["0.5", "0.5"]},
    "thresholds of classes": {"problem_type": KINDS[0], "thresholds": [0.5, 0.5]},
    "no window": {"encoder_window": 0},
    "half a window": {"encoder_window": 2.5},
    "windows for tokens": {"problem_type": KINDS[3], "encoder_window": 8},
    "prompts of others": {"decoder_vocab_size": 3},
    "no embeddings": {"vocab_size": 0},
    "no heads": {"num_heads": "many"},
    "tasks without labels": {"tasks": [{"name": "a", "problem_type": KINDS[0]}]},
    "tasks of one name": {"tasks": [{"name": "a", "problem_type": KINDS[0], "id2label": {"0": "x"}}] * 2},
    "a task's thresholds": {
        "tasks": [{"name": "a", "problem_type": KINDS[1], "id2label": {"0": "x"}, "thresholds": [1, 1]}]
    },
    "tasks and another problem": {
        "problem_type": KINDS[0],
        "tasks": [{"name": "a", "problem_type": KINDS[0], "id2label": {"0": "x"}}],
    },
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_what_the_model_itself_could_not_have_is_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": "enct5", **values}), encoding="utf-8")
    with pytest.raises((ValueError, TypeError, StrictDataclassError)):  # as transformers words it
        EncT5Config.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"`|task"):
        ExportedConfig.read(file)


@pytest.mark.parametrize("content", ["{", "[]", "1", '{"model_type": "t5"}', "{}"])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json is damaged|it is a checkpoint of type"):
        ExportedConfig.read(file)
