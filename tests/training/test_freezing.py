"""A frozen encoder: each text is read once, in evaluation mode, and what is learned is as if it were each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import nn
from transformers import AutoTokenizer, DataCollatorWithPadding, TrainingArguments

from enct5.model.modeling_enct5 import EncT5ForSequenceClassification
from enct5.training import freezing
from enct5.training.freezing import FrozenParts, freeze_encoder
from enct5.training.trainer import EncT5Trainer
from helpers.models import MULTI, SMALL, TOKENS, random_model
from helpers.paths import TOKENIZER
from helpers.several_tasks import random_tasks

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = 24
MODELS: dict[str, Callable[[], Any]] = {
    "one prompt": lambda: random_model(num_labels=3),
    "windows": lambda: random_model(num_labels=3, encoder_window=4),
    "a prompt a label": lambda: random_model(num_labels=3, problem_type=MULTI, num_decoder_layers=2),
    "tags": lambda: random_model(num_labels=3, problem_type=TOKENS),
    "tags by a decoder": lambda: random_model(num_labels=3, problem_type=TOKENS, token_decoder=True),
    "several tasks": random_tasks,
}


def reads(model: Any) -> list[int]:
    """How many texts the encoder is given, call by call."""
    seen: list[int] = []
    model.transformer.encoder.register_forward_pre_hook(
        lambda module, inputs, options: seen.append(len(options["input_ids"])), with_kwargs=True
    )
    return seen


def batch(rows: list[list[int]], left: bool = False, more: int = 0) -> dict[str, torch.Tensor]:
    """Token ids and mask of rows, padded to the longest and some."""
    ids, mask = torch.zeros(2, len(rows), max(map(len, rows)) + more, dtype=torch.long)
    for place, row in enumerate(rows):
        own = slice(ids.shape[1] - len(row), None) if left else slice(len(row))
        ids[place, own], mask[place, own] = torch.tensor(row), 1
    return {"input_ids": ids, "attention_mask": mask}


def logits_of(model: Any, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Logits by task, of what is no padding."""
    found = model(**inputs).logits
    found = found if isinstance(found, dict) else {"": found}
    is_text = inputs["attention_mask"] == 1
    return {name: own[is_text] if own.shape[:2] == is_text.shape else own for name, own in found.items()}


@pytest.mark.parametrize("name", list(MODELS))
@torch.no_grad()
def test_kept_states_are_those_of_the_encoder_in_any_batch(name: str) -> None:
    model = MODELS[name]()
    freeze_encoder(model)
    frozen, seen = FrozenParts(model), reads(model)
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(1, SMALL["vocab_size"], (length,), generator=generator).tolist() for length in (9, 4, 1, 7)]
    batches = [
        batch(texts[:2]),
        batch([texts[2], texts[0]], left=True),
        batch([texts[1], texts[3], texts[1]], more=3),
        batch(texts[::-1]),
    ]
    for inputs in batches:
        wanted = logits_of(model, inputs)
        seen.clear()
        found = logits_of(model, frozen.encoded(inputs))
        for task, own in wanted.items():
            torch.testing.assert_close(found[task], own, atol=1e-5, rtol=0)
    assert not seen  # all texts of the last batch have been read


@torch.no_grad()
def test_tokens_with_a_gap_are_another_text() -> None:
    model = random_model(num_labels=3)
    freeze_encoder(model)
    frozen = FrozenParts(model)
    whole = batch([[5, 6, 7, 8]])
    gap = {**whole, "attention_mask": torch.tensor([[1, 0, 1, 1]])}
    short = batch([[5, 7, 8]])
    for inputs in (whole, gap, short):
        torch.testing.assert_close(model(**frozen.encoded(inputs)).logits, model(**inputs).logits, atol=1e-5, rtol=0)


def test_states_that_have_no_room_are_computed_again() -> None:
    model = random_model(num_labels=3)
    freeze_encoder(model)
    of_one_text = 4 * SMALL["d_model"] * 5
    frozen, seen = FrozenParts(model, most=of_one_text), reads(model)
    first, second = batch([[5, 6, 7, 8, 9]]), batch([[9, 8, 7, 6, 5]])
    for inputs in (first, second, second, first):
        torch.testing.assert_close(model(**frozen.encoded(inputs)).logits, model(**inputs).logits, atol=1e-5, rtol=0)
    assert seen == [1, 1, 1, 1, 1, 1, 1]  # the last time it was kept


def test_what_learns_is_run_and_stays_in_training_mode() -> None:
    model = random_model(num_labels=3).train()
    inputs = batch([[5, 6]])
    frozen = FrozenParts(model)
    assert frozen.encoded(inputs) is inputs
    frozen.settle()
    assert all(module.training for module in model.modules())
    model.transformer.requires_grad_(False)
    FrozenParts(model).settle()
    assert not any(module.training for module in model.transformer.encoder.modules())
    assert not any(module.training for module in model.transformer.decoder.modules())
    assert model.classifier.training


def dataset() -> Dataset:
    lengths = [3 + row % 12 for row in range(ROWS)]
    ids = [[10 + row] * (length - 1) + [1] for row, length in enumerate(lengths)]
    return Dataset.from_dict({"input_ids": ids, "length": lengths, "labels": [row % 3 for row in range(ROWS)]})


def make(base: Path, out: Path) -> EncT5Trainer:
    torch.manual_seed(0)
    model = EncT5ForSequenceClassification.from_t5(str(base), num_labels=3, problem_type="single_label_classification")
    freeze_encoder(model)
    settings: dict[str, Any] = {"num_train_epochs": 4, "learning_rate": 1e-2, "eval_strategy": "epoch", "seed": 3}
    settings |= {"per_device_train_batch_size": 4, "use_cpu": True, "report_to": [], "disable_tqdm": True}
    return EncT5Trainer(
        model,
        TrainingArguments(output_dir=str(out), **settings),
        train_dataset=dataset(),
        eval_dataset=dataset().select(range(6)),
        data_collator=DataCollatorWithPadding(AutoTokenizer.from_pretrained(TOKENIZER)),
    )


def test_training_reads_every_text_once_and_learns_the_same(
    t5_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = t5_folder(dropout_rate=0.2)  # which a frozen encoder has no use for
    trainer = make(base, tmp_path / "once")
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    seen, modes = reads(trainer.model), set()
    trainer.model.transformer.encoder.register_forward_pre_hook(
        lambda module, inputs: modes.add((module.training, torch.is_grad_enabled()))
    )
    trainer.train()
    assert sum(seen) == ROWS
    assert modes == {(False, False)}
    again = make(base, tmp_path / "each time")
    seen = reads(again.model)
    monkeypatch.setattr(freezing, "MOST_BYTES", 0)
    again.train()
    assert sum(seen) == 4 * (ROWS + 6)
    losses = [
        [entry[name] for entry in one.state.log_history for name in ("loss", "eval_loss") if name in entry]
        for one in (trainer, again)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for name, tensor in again.model.state_dict().items():
        torch.testing.assert_close(trainer.model.state_dict()[name], tensor, atol=1e-4, rtol=1e-3, msg=name)
        assert torch.equal(tensor, before[name]) or not name.startswith("transformer.encoder."), name
    assert not torch.equal(again.model.classifier.weight, before["classifier.weight"])


def test_behind_a_training_the_encoder_is_read_as_it_is(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    trainer = make(t5_folder(), tmp_path)
    trainer.train()
    before = trainer.evaluate()["eval_loss"]
    with torch.no_grad():
        nn.init.zeros_(trainer.model.transformer.encoder.final_layer_norm.weight)
    assert trainer.evaluate()["eval_loss"] != pytest.approx(before, rel=1e-3)
