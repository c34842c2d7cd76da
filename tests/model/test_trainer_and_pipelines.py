"""transformers' Trainer, pipelines and Auto classes take the model as any of theirs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
    TrainingArguments,
    pipeline,
)

from enct5 import EncT5Config, EncT5ForSequenceClassification
from enct5.model.modeling_enct5 import EncT5Model
from helpers.classifiers import MULTI, REGRESSION, SINGLE, SMALL, logits_of, random_ids, random_model


def rows(problem_type: str, count: int = 8) -> list[dict[str, torch.Tensor]]:
    ids = random_ids(count, 6, seed=5)
    ids[::2, 4:] = 0
    generator = torch.Generator().manual_seed(6)
    labels = {
        SINGLE: torch.randint(0, 3, (count,), generator=generator),
        MULTI: torch.randint(0, 2, (count, 3), generator=generator).float(),
        REGRESSION: torch.randn(count, 3, generator=generator),
    }[problem_type]
    return [
        {"input_ids": text, "attention_mask": (text != 0).long(), "labels": label}
        for text, label in zip(ids, labels, strict=True)
    ]


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    return TrainingArguments(
        str(folder), **{"report_to": [], "use_cpu": True, "disable_tqdm": True, "logging_strategy": "no", **options}
    )


@pytest.mark.parametrize("problem_type", [SINGLE, MULTI, REGRESSION])
def test_the_stock_trainer_trains_it(problem_type: str, tmp_path: Path) -> None:
    model, data = random_model(num_labels=3, problem_type=problem_type), rows(problem_type)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    seen = []

    def metrics(prediction: Any) -> dict[str, float]:
        seen.append(prediction)
        return {}

    schedule = {"eval_strategy": "steps", "eval_steps": 2, "save_steps": 2, "load_best_model_at_end": True}
    options = arguments(tmp_path, max_steps=4, per_device_train_batch_size=4, learning_rate=1e-2, **schedule)
    trainer = Trainer(model, options, train_dataset=data, eval_dataset=data, compute_metrics=metrics)
    assert trainer.train().global_step == 4

    for prediction in seen:
        assert isinstance(prediction.predictions, np.ndarray)  # one array: no tuple of hidden states
        assert prediction.predictions.shape == (8, 3)
        np.testing.assert_array_equal(prediction.label_ids, torch.stack([row["labels"] for row in data]).numpy())
    best = EncT5ForSequenceClassification.from_pretrained(trainer.state.best_model_checkpoint)
    for name, parameter in best.named_parameters():
        assert torch.equal(parameter, model.get_parameter(name)), name
        # Query, key and bias of a lone prompt get no gradient, so only weight decay (none here) could move them.
        if problem_type == MULTI or "decoder.block.0.layer.0.SelfAttention" not in name:
            assert not torch.equal(parameter, before[name]), name
    final = trainer.predict(data)
    ids = torch.stack([row["input_ids"] for row in data])
    np.testing.assert_allclose(final.predictions, logits_of(best, ids).numpy(), atol=1e-4)
    assert final.metrics["test_loss"] == pytest.approx(
        best(ids, labels=torch.stack([row["labels"] for row in data])).loss.item(), abs=1e-4
    )


def test_accumulating_gradients_trains_as_one_large_batch_does(tmp_path: Path) -> None:
    """The loss is a mean; were it summed over, or not divided by, the accumulated batches, SGD would show it."""
    after = []
    for batch, accumulated in ((8, 1), (2, 4)):
        model = random_model(num_labels=3, dropout_rate=0.0)
        options = arguments(
            tmp_path / str(batch),
            max_steps=1,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulated,
            optim="sgd",
            learning_rate=0.1,
            lr_scheduler_type="constant",
            max_grad_norm=0.0,
            save_strategy="no",
        )
        start = model.classifier.bias.detach().clone()
        Trainer(model, options, train_dataset=rows(SINGLE)).train()
        assert (model.classifier.bias - start).abs().max() > 1e-3
        after.append(dict(model.named_parameters()))
    for name, parameter in after[0].items():
        torch.testing.assert_close(after[1][name], parameter, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
def test_a_pipeline_gives_probabilities_and_names(
    problem_type: str, tmp_path: Path, t5_folder: Callable[..., Path]
) -> None:
    names = ["no", "yes", "maybe"]
    folder = t5_folder()
    model = EncT5ForSequenceClassification.from_t5(
        str(folder), id2label=dict(enumerate(names)), problem_type=problem_type
    )
    torch.manual_seed(4)
    with torch.no_grad():
        model.classifier.bias.normal_()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = ["where is my card?", "no"]
    found = pipeline("text-classification", model=str(tmp_path), device="cpu")(texts, top_k=None, batch_size=2)
    logits = torch.cat([logits_of(model, tokenizer(text, return_tensors="pt").input_ids) for text in texts])
    probabilities = logits.softmax(-1) if problem_type == SINGLE else logits.sigmoid()
    for result, row in zip(found, probabilities.tolist(), strict=True):
        scores = {item["label"]: item["score"] for item in result}
        assert scores == {name: pytest.approx(score, abs=1e-4) for name, score in zip(names, row, strict=True)}


def test_auto_classes_make_a_model_of_a_configuration() -> None:
    config = EncT5Config(**SMALL, num_labels=3)
    assert type(AutoModelForSequenceClassification.from_config(config)) is EncT5ForSequenceClassification
    assert type(AutoModel.from_config(config)) is EncT5Model
