"""EncT5Config: defaults, inferred problem types, refusals, round trips, published files."""

import copy
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig
from transformers.activations import ACT2FN
from transformers.utils import logging as transformers_logging

from enct5 import EncT5Config
from helpers.paths import shared

PUBLISHED = [(kind, case) for kind in ("relu", "gated") for case in ("single_label", "regression", "multi_label")]

TOKENS = {"problem_type": "token_classification"}
MULTI = {"num_labels": 2, "problem_type": "multi_label_classification"}


def test_defaults_are_the_papers_and_the_published_behaviour() -> None:
    config = EncT5Config()
    assert config.model_type == "enct5"
    assert config.num_decoder_layers == 1
    assert (config.num_labels, config.problem_type, config.decoder_vocab_size) == (2, "single_label_classification", 1)
    assert config.prompt_position_bias is True
    assert config.per_layer_position_bias is False
    assert config.loss is config.loss_gamma is config.class_weights is config.thresholds is None
    assert config.decoder_start_token_id == 0
    assert config.is_encoder_decoder is True


@pytest.mark.parametrize(
    ("given", "problem_type", "prompts"),
    [
        ({"num_labels": 3}, "single_label_classification", 1),
        ({"num_labels": 1}, "regression", 1),
        ({"num_labels": 3, "decoder_vocab_size": 3}, "multi_label_classification", 3),
        ({"num_labels": 1, "decoder_vocab_size": 1}, "regression", 1),
        ({"num_labels": 4, "problem_type": "multi_label_classification"}, "multi_label_classification", 4),
        (
            {"num_labels": 4, "problem_type": "multi_label_classification", "decoder_vocab_size": 1},
            "multi_label_classification",
            1,
        ),
        ({"num_labels": 4, "problem_type": "regression"}, "regression", 1),
        (
            {"num_labels": 4, "problem_type": "single_label_classification", "decoder_vocab_size": 4},
            "single_label_classification",
            4,
        ),
        ({"id2label": {"0": "no", "1": "yes", "2": "maybe"}}, "single_label_classification", 1),
    ],
)
def test_problem_type_and_prompts_are_inferred(given: dict, problem_type: str, prompts: int) -> None:
    config = EncT5Config(**given)
    assert (config.problem_type, config.decoder_vocab_size) == (problem_type, prompts)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"problem_type": "ranking"}, r"`problem_type` is 'ranking'; it must be one of single_label_classification, "),
        ({"num_labels": 0}, r"`num_labels` is 0; a model needs at least one label"),
        ({"num_labels": 3, "decoder_vocab_size": 2}, r"`decoder_vocab_size` is 2; it must be 1 .* `num_labels` = 3"),
        ({"num_labels": 3, "decoder_vocab_size": 0}, r"`decoder_vocab_size` is 0; it must be 1"),
        ({"num_decoder_layers": 0}, r"`num_decoder_layers` is 0; EncT5 needs at least one"),
        ({"id2label": {1: "no", 2: "yes"}}, r"`id2label` has the keys \[1, 2\]; it must name the labels 0 to 1"),
        ({"decoder_vocab_size": "2"}, r"Field 'decoder_vocab_size' .* got str"),
        ({"num_decoder_layers": 1.5}, r"Field 'num_decoder_layers' .* got float"),
        ({"prompt_position_bias": "no"}, r"Field 'prompt_position_bias' expected bool, got str"),
        ({"per_layer_position_bias": 1}, r"Field 'per_layer_position_bias' expected bool, got int"),
        ({"d_model": "x"}, r"Field 'd_model' expected int, got str"),
        ({"loss": "hinge"}, r"`loss` is 'hinge'; for single_label_classification it must be one of focal, or left out"),
        ({"loss": "asymmetric"}, r"`loss` is 'asymmetric'; for single_label_classification it must be one of focal"),
        ({"num_labels": 1, "loss": "focal"}, r"`loss` is 'focal'; for regression leave it out"),
        ({"loss_gamma": -0.5}, r"`loss_gamma` is -0.5; it must be at least 0"),
        ({"label_parts": [2, 1]}, r"`label_parts` is \[2, 1\]; it must add up to `num_labels` = 2"),
        ({"label_parts": [2, 0]}, r"`label_parts` is \[2, 0\]; it must add up to `num_labels` = 2"),
        ({"label_parts": []}, r"`label_parts` is \[\]; it must add up to `num_labels` = 2"),
        ({"class_weights": [1.0]}, r"`class_weights` has 1 values for 2 labels; give one per label"),
        ({"class_weights": [1.0, 0.0]}, r"`class_weights` holds 0.0; each must be a positive number"),
        (
            {"num_labels": 1, "class_weights": [1.0]},
            r"`class_weights` are for classes of texts; leave them out for regression",
        ),
        ({"class_weights": 3.0}, r"Field 'class_weights'.* got float"),
        ({"thresholds": [0.5, 0.5]}, r"`thresholds` are for multi-label classification; leave them out for single_"),
        ({**MULTI, "thresholds": [0.5]}, r"`thresholds` has 1 values for 2 labels; give one per label"),
        ({**MULTI, "thresholds": [0.5, 1.5]}, r"`thresholds` holds 1.5; each must be within 0 and 1"),
        ({**MULTI, "thresholds": [float("nan"), 0.5]}, r"`thresholds` holds nan; each must be within 0 and 1"),
    ],
)
def test_impossible_values_are_refused(given: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(StrictDataclassError, match=message):
        EncT5Config(**given)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "enct5", **given}))
    with pytest.raises(StrictDataclassError, match=message):
        EncT5Config.from_pretrained(tmp_path)


def test_single_label_classification_of_one_label_is_refused() -> None:
    with pytest.raises(ValueError, match="requires `num_labels > 1`"):
        EncT5Config(num_labels=1, problem_type="single_label_classification")


def test_a_wrong_type_is_refused_on_assignment_too() -> None:
    config = EncT5Config()
    with pytest.raises(StrictDataclassError, match="expected bool, got str"):
        config.prompt_position_bias = "no"


def test_thresholds_that_do_not_fit_are_not_saved(tmp_path: Path) -> None:
    config = EncT5Config(**MULTI)
    config.thresholds = [0.5, 0.5, 0.5]
    with pytest.raises(StrictDataclassError, match="`thresholds` has 3 values for 2 labels"):
        config.save_pretrained(tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        {"num_labels": 3},
        {"num_labels": 1},
        {"num_labels": 3, "loss": "focal", "loss_gamma": 0.5, "class_weights": [0.1, 1.0, 30.0]},
        {**MULTI, "loss": "asymmetric", "class_weights": [1.0, 2.5], "thresholds": [0.1 + 0.2, 1 / 3]},
        {"num_labels": 5, "problem_type": "multi_label_classification", "prompt_position_bias": False},
        {"num_labels": 2, "problem_type": "regression", "decoder_dropout_rate": 0.0, "classifier_dropout": 0.25},
        {"id2label": {0: "ä", 1: "b c"}, "label2id": {"ä": 0, "b c": 1}, "per_layer_position_bias": True},
    ],
)
def test_saving_and_loading_keeps_every_key(given: dict, tmp_path: Path) -> None:
    config = EncT5Config(d_model=32, feed_forward_proj="gated-gelu", **given)
    config.save_pretrained(tmp_path)
    loaded = EncT5Config.from_pretrained(tmp_path)
    assert loaded.to_dict() == {**config.to_dict(), "transformers_version": loaded.to_dict()["transformers_version"]}
    saved = json.loads((tmp_path / "config.json").read_text())
    for key in ("problem_type", "decoder_vocab_size", "prompt_position_bias", "per_layer_position_bias"):
        assert saved[key] == getattr(config, key)  # written even where it is the default, which may change
    for key, value in given.items():
        assert getattr(loaded, key) == value


@pytest.mark.parametrize(("kind", "case"), PUBLISHED)
def test_every_key_of_a_published_file_keeps_its_meaning(kind: str, case: str) -> None:
    folder = shared("fixtures", "reference", kind, case)
    published = json.loads((folder / "config.json").read_text())
    config = EncT5Config.from_pretrained(folder)
    # Neither says anything about the model: who wrote the file, and tying, which EncT5 has none of.
    for key in set(published) - {
        "transformers_version",
        "tie_word_embeddings",
        "torch_dtype",
        "auto_map",
        "dense_act_fn",
    }:
        value = getattr(config, key)
        assert json.loads(json.dumps(value)) == published[key], key
    values = torch.linspace(-6, 6, 1001)  # the function may go by another name
    torch.testing.assert_close(ACT2FN[config.dense_act_fn](values), ACT2FN[published["dense_act_fn"]](values))
    assert str(config.dtype) == "torch." + published["torch_dtype"]
    assert config.prompt_position_bias  # the published behaviour
    assert config.decoder_dropout_rate is None  # as `dropout_rate`: the published behaviour
    assert not config.per_layer_position_bias


@pytest.mark.parametrize("kind", ["relu", "gated"])
def test_the_keys_of_a_t5_file_are_understood(kind: str) -> None:
    folder = shared("fixtures", "reference", kind, "t5")
    config = EncT5Config.from_pretrained(folder, num_labels=3)
    assert config.problem_type == "single_label_classification"
    assert config.is_gated_act is (kind == "gated")


def test_label2id_follows_id2label(tmp_path: Path) -> None:
    config = EncT5Config(id2label={"0": "no", "1": "yes"})
    assert config.label2id == {"no": 0, "yes": 1}
    config.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["label2id"] == {"no": 0, "yes": 1}
    assert EncT5Config.from_pretrained(tmp_path).label2id == {"no": 0, "yes": 1}
    assert EncT5Config(num_labels=2).label2id == {"LABEL_0": 0, "LABEL_1": 1}


@pytest.mark.parametrize(
    "given",
    [
        {"id2label": {0: "no", 1: "yes"}},
        {"label2id": {"no": 0, "yes": 1}},
        {"label2id": {"yes": "1", "no": "0"}, "num_labels": 2},
        {"id2label": {"1": "yes", "0": "no"}, "label2id": {"no": "0", "yes": "1"}, "num_labels": 2},
        # made-up names say nothing
        {"id2label": {0: "LABEL_0", 1: "LABEL_1"}, "label2id": {"no": 0, "yes": 1}},
        {"id2label": {0: "no", 1: "yes"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}},
    ],
)
def test_names_of_labels_are_those_given(given: dict, tmp_path: Path) -> None:
    before = copy.deepcopy(given)
    EncT5Config(d_model=8).save_pretrained(tmp_path)
    for config in (EncT5Config(**given), EncT5Config.from_pretrained(tmp_path, **given)):
        assert config.id2label == {0: "no", 1: "yes"}
        assert config.label2id == {"no": 0, "yes": 1}
    assert given == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"id2label": ["no", "yes"]}, r"`id2label` is \['no', 'yes'\]; it must be a dictionary"),
        ({"label2id": ["no", "yes"]}, r"`label2id` is \['no', 'yes'\]; it must be a dictionary"),
        ({"id2label": {0: 0, 1: 1}}, r"`id2label` has the label 0, a int; names must be texts: '0'"),
        ({"id2label": {0: False, 1: True}}, r"`id2label` has the label False, a bool; names must be texts: 'False'"),
        ({"id2label": {"no": 0, "yes": 1}}, r"`id2label` has the id 'no'; ids of labels are whole numbers"),
        ({"label2id": {"no": None, "yes": 1}}, r"`label2id` has the id None; ids of labels are whole numbers"),
        ({"id2label": {0: "no", "0": "yes"}}, r"`id2label` has an id twice"),
        ({"label2id": {"no": 0, "yes": 0}}, r"`label2id` has an id twice"),
        ({"id2label": {0: "no", 1: "no"}}, r"`id2label` has the label 'no' twice; each label needs a name of its own"),
        ({"id2label": {0: "no", 2: "yes"}}, r"`id2label` has the keys \[0, 2\]; it must name the labels 0 to 1"),
        ({"label2id": {"no": -1, "yes": 0}}, r"`id2label` has the keys \[-1, 0\]; it must name the labels 0 to 1"),
        ({"id2label": {0: "no", 1: "yes"}, "num_labels": 3}, r"`num_labels` is 3, but there are 2 names of labels"),
        ({"label2id": {"no": 0, "yes": 1}, "num_labels": 3}, r"`num_labels` is 3, but there are 2 names of labels"),
        ({"num_labels": "3"}, r"`num_labels` is '3'; it must be a whole number"),
        (
            {"id2label": {0: "no", 1: "yes"}, "label2id": {"no": 1, "yes": 0}},
            r"`label2id` {'no': 1, 'yes': 0} contradicts `id2label` {0: 'no', 1: 'yes'}; give one of them",
        ),
    ],
)
def test_names_of_labels_that_cannot_be_are_refused(given: dict, message: str, tmp_path: Path) -> None:
    EncT5Config(d_model=8).save_pretrained(tmp_path)
    for make in (lambda: EncT5Config(**given), lambda: EncT5Config.from_pretrained(tmp_path, **given)):
        with pytest.raises((ValueError, StrictDataclassError), match=message):
            make()


def test_new_names_replace_both_stored_maps(tmp_path: Path) -> None:
    EncT5Config(id2label={0: "no", 1: "yes"}).save_pretrained(tmp_path)
    assert EncT5Config.from_pretrained(tmp_path, id2label={"0": "a", "1": "b"}).label2id == {"a": 0, "b": 1}
    assert EncT5Config.from_pretrained(tmp_path, label2id={"a": 0, "b": 1}).id2label == {0: "a", 1: "b"}
    assert EncT5Config.from_pretrained(tmp_path, num_labels=2).id2label == {0: "no", 1: "yes"}
    assert EncT5Config.from_pretrained(tmp_path, num_labels=3).label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


OLD = {"id2label": {0: "a", 1: "b", 2: "c"}}
OF_LABELS = {"class_weights": [1.0, 2.0, 3.0], "loss": "focal"}


@pytest.mark.parametrize(
    ("stored", "given", "kept", "told"),
    [
        # as many prompts as labels stay so; one prompt stays one
        ({"problem_type": "multi_label_classification"}, {"num_labels": 5}, {"decoder_vocab_size": 5}, ""),
        ({"decoder_vocab_size": 3}, {"num_labels": 5}, {"decoder_vocab_size": 5}, ""),
        (
            {"num_labels": 1, "problem_type": "multi_label_classification"},
            {"num_labels": 5},
            {"decoder_vocab_size": 5},
            "",
        ),
        ({"problem_type": "single_label_classification"}, {"num_labels": 5}, {"decoder_vocab_size": 1}, ""),
        ({"problem_type": "regression"}, {"num_labels": 5}, {"decoder_vocab_size": 1}, ""),
        (
            {"problem_type": "multi_label_classification", "thresholds": [0.1, 0.2, 0.3], **OF_LABELS},
            {"num_labels": 5},
            {"thresholds": None, "class_weights": None, "loss": "focal"},
            "`thresholds`, `class_weights`: left out",
        ),
        (
            {"problem_type": "multi_label_classification", "thresholds": [0.1, 0.2, 0.3], **OF_LABELS},
            {"problem_type": "single_label_classification"},
            {"decoder_vocab_size": 1, "thresholds": None, "class_weights": None, "loss": None, **OLD},
            "`thresholds`, `class_weights`, `loss`: left out",
        ),
        (
            {"problem_type": "multi_label_classification", "thresholds": [0.1, 0.2, 0.3]},
            {"label2id": {"x": 0, "y": 1}, "thresholds": [0.4, 0.5]},
            {"thresholds": [0.4, 0.5], "decoder_vocab_size": 2, "id2label": {0: "x", 1: "y"}},
            "",
        ),
        (
            {"problem_type": "multi_label_classification", "thresholds": [0.1, 0.2, 0.3]},
            {"id2label": {0: "x", 1: "y", 2: "z"}},
            {"thresholds": [0.1, 0.2, 0.3], "id2label": {0: "x", 1: "y", 2: "z"}},
            "",
        ),
        ({}, {"id2label": {0: "c", 1: "b", 2: "a"}}, {"id2label": {0: "c", 1: "b", 2: "a"}}, "in another order"),
        ({"problem_type": "regression"}, {"problem_type": "single_label_classification"}, {**OLD}, ""),
    ],
)
def test_what_belongs_to_labels_does_not_outlive_them(
    stored: dict, given: dict, kept: dict, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(transformers_logging.get_logger("transformers"), "propagate", True)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "enct5", **({} if "num_labels" in stored else OLD), **stored})
    )
    before = copy.deepcopy(given)
    for from_pretrained in (EncT5Config.from_pretrained, AutoConfig.from_pretrained):
        caplog.clear()
        config = from_pretrained(tmp_path, **given)
        assert {key: getattr(config, key) for key in kept} == kept
        assert told in caplog.text if told else not caplog.text
    assert given == before


def test_stored_and_given_keys_are_checked_together(tmp_path: Path) -> None:
    EncT5Config(**MULTI).save_pretrained(tmp_path)
    with pytest.raises(StrictDataclassError, match="`thresholds` has 3 values for 2 labels"):
        EncT5Config.from_pretrained(tmp_path, thresholds=[0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match=r"requires `num_labels > 1`.*regression"):
        EncT5Config.from_pretrained(tmp_path, problem_type="single_label_classification", num_labels=1)
    config, unused = EncT5Config.from_pretrained(tmp_path, loss="focal", unknown=1, return_unused_kwargs=True)
    assert (config.loss, unused) == ("focal", {"unknown": 1})


@pytest.mark.parametrize(
    ("given", "activation"),
    [
        ({"num_labels": 1}, {"activation_fn": "torch.nn.modules.linear.Identity"}),
        ({"num_labels": 3, "problem_type": "regression"}, {"activation_fn": "torch.nn.modules.linear.Identity"}),
        ({"num_labels": 1, "problem_type": "multi_label_classification"}, None),  # the sigmoid, CrossEncoder's default
        ({"num_labels": 3}, None),
        (
            {"num_labels": 1, "sentence_transformers": {"activation_fn": "torch.nn.Tanh"}},
            {"activation_fn": "torch.nn.Tanh"},
        ),
    ],
)
def test_a_regressions_file_tells_cross_encoders_that_it_gives_values(
    given: dict, activation: dict | None, tmp_path: Path
) -> None:
    EncT5Config(**given).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()).get("sentence_transformers") == activation
    classifier = EncT5Config.from_pretrained(tmp_path, num_labels=4, problem_type="single_label_classification")
    if activation != {"activation_fn": "torch.nn.Tanh"}:
        assert not hasattr(classifier, "sentence_transformers")


def test_one_prompt_brings_no_warning_about_the_vocabulary(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Token ids 0 and 1 (padding, end) are ids of the text's vocabulary, not of the prompts'."""
    root = transformers_logging.get_logger("transformers")
    monkeypatch.setattr(root, "propagate", True)
    with caplog.at_level(logging.WARNING):
        config = EncT5Config(decoder_vocab_size=1, num_labels=3)
        config.validate()
    assert [record.message for record in caplog.records] == []
    assert config.get_text_config(decoder=True) is config


def test_parts_of_other_labels_mean_nothing() -> None:
    stored = EncT5Config(num_labels=5, label_parts=[3, 2]).to_dict()
    assert EncT5Config.from_dict(stored).label_parts == [3, 2]
    assert EncT5Config.from_dict(stored, num_labels=4).label_parts is None
    assert EncT5Config.from_dict(stored, problem_type="multi_label_classification").label_parts is None
