"""EncT5ForTokenClassification: both instantiations, their loss, saving, and what transformers does with them."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import AutoModel, AutoModelForTokenClassification, Trainer, TrainingArguments, pipeline

from enct5 import EncT5Config, EncT5ForSequenceClassification, EncT5ForTokenClassification
from enct5.model import modeling_enct5
from enct5.model.conversion import convert
from enct5.model.loading import load_tokenizer
from enct5.model.modeling_enct5 import EncT5Decoder
from helpers.without_enct5 import HIDE

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = {"vocab_size": 60, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "num_labels": 5}
KINDS = [
    {"token_decoder": False},
    {"token_decoder": True},
    {"token_decoder": True, "num_decoder_layers": 2, "per_layer_position_bias": True},
    {"token_decoder": True, "prompt_position_bias": False},
]


def tagger(**config: object) -> EncT5ForTokenClassification:
    torch.manual_seed(0)
    model = EncT5ForTokenClassification(EncT5Config(**SHAPE, **config)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def ids(*shape: int) -> torch.Tensor:
    return torch.randint(2, 60, shape, generator=torch.Generator().manual_seed(1))


def test_the_linear_head_reads_the_encoders_states() -> None:
    model = tagger()
    states = model.transformer.encoder(input_ids=ids(2, 7)).last_hidden_state
    expected = states @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(ids(2, 7)).logits, expected)
    assert not any("decoder" in name for name in model.state_dict())


@pytest.mark.parametrize("config", KINDS[1:])
def test_the_decoder_reads_the_texts_own_tokens_as_it_reads_prompts(config: dict) -> None:
    # The prompted decoder is held to T5's own in test_modeling_enct5.py: a text's tokens as its prompts are the same.
    model = tagger(**config)
    text = ids(1, 7)
    prompted = EncT5Config(
        **{**SHAPE, "num_labels": 7, "problem_type": "multi_label_classification", "is_decoder": True, **config},
    )
    prompted.num_layers = prompted.num_decoder_layers
    decoder = EncT5Decoder(prompted).eval()
    weights = model.transformer.decoder.state_dict()
    decoder.load_state_dict({**weights, "embed_tokens.weight": model.transformer.encoder.embed_tokens(text)[0]})
    states = model.transformer.encoder(input_ids=text).last_hidden_state
    expected = functional.linear(decoder(states).last_hidden_state, model.classifier.weight, model.classifier.bias)
    torch.testing.assert_close(model(text).logits, expected)
    assert not any("decoder.embed_tokens" in name for name in model.state_dict())


def test_a_token_sees_what_stands_to_its_right() -> None:
    model = tagger(token_decoder=True)
    text, other = ids(1, 7), ids(1, 7)
    other[0, -1] = (other[0, -1] + 1) % 58 + 2
    states = model.transformer.encoder(input_ids=text).last_hidden_state  # the same for both: only the decoder differs
    first, second = (model(tokens, encoder_outputs=(states,)).logits[0, 0] for tokens in (text, other))
    assert (first - second).abs().max() > 1e-4


@pytest.mark.parametrize("config", KINDS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_padding_and_neighbours_change_nothing(config: dict, attention: str) -> None:
    model = tagger(**config, attn_implementation=attention)
    text = ids(1, 5)
    alone = model(text).logits[0]
    for filler in (0, 17):
        for side in (slice(0, 5), slice(4, 9)):
            batch, mask = ids(3, 9), torch.ones(3, 9, dtype=torch.long)
            batch[1], mask[1] = filler, 0
            batch[1, side], mask[1, side] = text[0], 1
            torch.testing.assert_close(model(batch, attention_mask=mask).logits[1, side], alone, atol=1e-4, rtol=0)
    padded = torch.cat([text, torch.zeros(1, 4, dtype=torch.long)], dim=1)
    torch.testing.assert_close(model(padded).logits[0, :5], alone, atol=1e-4, rtol=0)


def test_the_loss_is_the_mean_over_labelled_tokens() -> None:
    model = tagger()
    labels = torch.tensor([[0, 4, -100], [2, -100, -100]])
    output = model(ids(2, 3), labels=labels)
    chosen = labels != -100
    expected = functional.cross_entropy(output.logits[chosen], labels[chosen])
    torch.testing.assert_close(output.loss, expected)
    nothing = model(ids(2, 3), labels=torch.full((2, 3), -100)).loss
    assert nothing.item() == 0
    half = tagger().to(torch.bfloat16)(ids(2, 3), labels=labels)
    assert (half.loss.dtype, half.logits.dtype) == (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("labels", [torch.zeros(2, 3), torch.zeros(2, dtype=torch.long), torch.zeros(2, 4).long()])
def test_labels_that_do_not_fit_are_refused(labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"tagging tokens needs int64 labels of shape \(2, 3\)"):
        tagger()(ids(2, 3), labels=labels)


@pytest.mark.parametrize("config", KINDS)
def test_gradients_reach_every_parameter(config: dict) -> None:
    model = tagger(**config).train()
    model(ids(3, 7), labels=ids(3, 7) % 5).loss.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_the_decoder_needs_the_text() -> None:
    model = tagger(token_decoder=True)
    states = model.transformer.encoder(input_ids=ids(1, 4)).last_hidden_state
    with pytest.raises(ValueError, match="give `input_ids` or `inputs_embeds`"):
        model(encoder_outputs=(states,))
    embedded = model.get_input_embeddings()(ids(1, 4))
    torch.testing.assert_close(model(inputs_embeds=embedded).logits, model(ids(1, 4)).logits)


@pytest.mark.parametrize("config", KINDS[1:])
def test_tokens_read_in_parts_are_what_they_are_at_once(config: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    model, text = tagger(**config), ids(2, 7)
    text[0, 4:] = 0
    for mask in (None, torch.ones_like(text)):  # some padding, and none, where no mask is built
        expected = model(text, attention_mask=mask, labels=text % 5)
        expected.loss.backward()
        gradient = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        model.zero_grad()
        with monkeypatch.context() as patch:
            patch.setattr(modeling_enct5, "PROMPTS_AT_A_TIME", 3)
            widths: list[int] = []
            block = model.transformer.decoder.block[0]
            hook = block.layer[2].register_forward_pre_hook(lambda _, args, seen=widths: seen.append(args[0].shape[1]))
            found = model(text, attention_mask=mask, labels=text % 5)
            found.loss.backward()
            hook.remove()
        assert max(widths) == 3
        torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=1e-4)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, gradient[name], atol=1e-5, rtol=1e-4, msg=name)
        model.zero_grad()


def test_states_are_those_of_the_stack_that_the_head_reads() -> None:
    for config, layers in ((KINDS[0], 3), (KINDS[1], 2)):
        model = tagger(**config, attn_implementation="eager")
        output = model(ids(2, 4), output_hidden_states=True, output_attentions=True)
        assert [len(output.hidden_states), len(output.attentions)] == [layers, layers - 1]
        expected = functional.linear(output.hidden_states[-1], model.classifier.weight, model.classifier.bias)
        torch.testing.assert_close(output.logits, expected)
        for as_tuple in (
            model(ids(2, 4), return_dict=False),
            tagger(**config, attn_implementation="eager", return_dict=False)(ids(2, 4)),
        ):
            torch.testing.assert_close(as_tuple[0], output.logits)


@pytest.mark.parametrize("token_decoder", [False, True])
def test_from_t5_keeps_what_the_head_reads(token_decoder: bool, t5_folder: Callable[..., Path], caplog) -> None:
    result = convert(
        str(t5_folder()), 5, problem_type="token_classification", token_decoder=token_decoder, num_decoder_layers=1
    )
    assert type(result.model) is EncT5ForTokenClassification
    assert result.new == ["classifier.weight", "classifier.bias"]
    assert any(name.startswith("decoder.block.0.") for name in result.unused) == (not token_decoder)
    assert ("transformer.decoder.block.0.layer.1.EncDecAttention.q.weight" in result.copied) == token_decoder
    assert result.model.config.decoder_vocab_size is None
    again = EncT5ForTokenClassification.from_t5(str(t5_folder()), 5, token_decoder=token_decoder)
    assert again.config.problem_type == "token_classification"


def test_an_encoder_only_base_is_enough_without_decoder(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    from transformers import T5EncoderModel

    T5EncoderModel.from_pretrained(t5_folder()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == "t5"
    assert EncT5ForTokenClassification.from_t5(str(tmp_path), 5).num_labels == 5


@pytest.mark.parametrize("config", KINDS)
def test_round_trip(config: dict, tmp_path: Path) -> None:
    model = tagger(**config)
    model.save_pretrained(tmp_path)
    again = AutoModelForTokenClassification.from_pretrained(tmp_path)
    assert type(again) is EncT5ForTokenClassification
    torch.testing.assert_close(again(ids(2, 4)).logits, model(ids(2, 4)).logits)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["auto_map"]["AutoModelForTokenClassification"] == "modeling_enct5.EncT5ForTokenClassification"
    below = AutoModel.from_pretrained(tmp_path)
    torch.testing.assert_close(below(ids(2, 4)).last_hidden_state, model.transformer(ids(2, 4)).last_hidden_state)
    with pytest.raises(ValueError, match="load this model with EncT5ForTokenClassification"):
        EncT5ForSequenceClassification.from_pretrained(tmp_path)


def test_a_model_of_another_kind_may_be_the_start(tmp_path: Path) -> None:
    settings = {"num_labels": 3, "loss": "focal", "loss_gamma": 1.0, "class_weights": [1.0, 2.0, 3.0]}
    classifier = EncT5ForSequenceClassification(EncT5Config(**{**SHAPE, **settings}))
    classifier.save_pretrained(tmp_path)
    config = EncT5Config.from_pretrained(tmp_path)
    before = copy.deepcopy(config)
    for make in (EncT5ForTokenClassification, AutoModelForTokenClassification.from_config):
        assert make(config).config.problem_type == "token_classification"
        assert config.to_dict() == before.to_dict()  # the caller's
    model = EncT5ForTokenClassification.from_pretrained(tmp_path, token_decoder=True)
    assert (model.config.problem_type, model.config.decoder_vocab_size) == ("token_classification", None)
    for token_decoder in (True, False):
        config = EncT5ForTokenClassification.from_pretrained(tmp_path, token_decoder=token_decoder).config
        assert config.is_encoder_decoder is token_decoder
    EncT5Config.from_dict(model.config.to_dict())  # nothing is left that only classifiers of texts may have
    for name, tensor in model.transformer.decoder.state_dict().items():
        assert torch.equal(tensor, classifier.transformer.decoder.state_dict()[name]), name


@pytest.mark.parametrize("token_decoder", [False, True])
def test_the_stock_trainer_trains_it_and_predicts_one_array(token_decoder: bool, tmp_path: Path) -> None:
    model = tagger(token_decoder=token_decoder)
    rows = [{"input_ids": row, "labels": row % 5} for row in ids(32, 6)]
    arguments = TrainingArguments(
        str(tmp_path), num_train_epochs=15, learning_rate=1e-2, use_cpu=True, report_to=[], save_strategy="no"
    )
    trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    result = trainer.predict(rows)
    assert result.predictions.shape == (32, 6, 5)
    assert trainer.evaluate()["eval_loss"] < before / 2


@pytest.fixture(scope="module")
def folder(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    names = ["O", "B-place", "I-place", "B-day", "I-day"]
    model = EncT5ForTokenClassification.from_t5(
        str(t5_folder()), id2label=dict(enumerate(names)), token_decoder=True, num_decoder_layers=2
    )
    torch.manual_seed(3)
    with torch.no_grad():
        model.classifier.weight.normal_()
        model.classifier.bias.normal_()
    model.save_pretrained(folder)
    load_tokenizer(str(t5_folder())).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("strategy", ["none", "simple"])
def test_a_pipeline_finds_entities_within_the_text(folder: Path, strategy: str) -> None:
    text = "From  London to Paris, on Monday 😀"
    found = pipeline("token-classification", str(folder), aggregation_strategy=strategy)(text)
    assert found
    for entity in found:
        assert 0 <= entity["start"] < entity["end"] <= len(text)
        assert 0 < entity["score"] <= 1
        assert entity["entity_group" if strategy == "simple" else "entity"].removeprefix("B-").removeprefix("I-") in (
            "place",
            "day",
        )


ELSEWHERE = (
    HIDE
    + """
import json
import torch
from transformers import AutoModelForTokenClassification, pipeline

source, target, ids = sys.argv[1], sys.argv[2], torch.tensor(json.loads(sys.argv[3]))
model = AutoModelForTokenClassification.from_pretrained(source, trust_remote_code=True)
with torch.no_grad():
    logits = model(ids).logits
model(ids, labels=torch.zeros_like(ids)).loss.backward()
model.save_pretrained(target)
find = pipeline("token-classification", source, trust_remote_code=True, aggregation_strategy="simple")
found = [[e["start"], e["end"], e["entity_group"], float(e["score"])] for e in find(sys.argv[4])]
print("\\n" + json.dumps({"logits": logits.tolist(), "found": found, "installed": "enct5" in sys.modules}))
"""
)


def test_a_saved_folder_works_where_enct5_is_not_installed(folder: Path, tmp_path: Path) -> None:
    from enct5 import Predictor

    text = "From  London to Paris, on Monday 😀"
    command = [
        sys.executable,
        "-I",
        "-c",
        ELSEWHERE,
        str(folder),
        str(tmp_path / "again"),
        json.dumps(ids(2, 6).tolist()),
        text,
    ]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_MODULES_CACHE": str(tmp_path / "modules")}
    run = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout.splitlines()[-1])
    assert not result["installed"]
    model = EncT5ForTokenClassification.from_pretrained(folder)
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(result["logits"]), model(ids(2, 6)).logits, atol=1e-5, rtol=0)
    again = EncT5ForTokenClassification.from_pretrained(tmp_path / "again")
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    (predicted,) = Predictor.from_pretrained(folder).predict([text])
    expected = [[one["start"], one["end"], one["label"], one["score"]] for one in predicted["entities"]]
    assert [entity[:3] for entity in result["found"]] == [entity[:3] for entity in expected]
    assert [entity[3] for entity in result["found"]] == pytest.approx([entity[3] for entity in expected], abs=1e-5)
