"""One predictor or model that many use: threads, a trainer, copies, and other processes."""

import asyncio
import copy
import io
import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.utils import parametrizations, prune
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

from enct5 import EncT5ForSequenceClassification, EncT5ForTokenClassification, Predictor
from enct5.model.conversion import convert
from enct5.model.loading import load_tokenizer
from enct5.tasks.registry import TASKS
from helpers.processes import logits_there
from helpers.texts import sentences

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
TEXTS = [*sentences(20), "please send the invoice for my parcel " * 40, "", "where is it"]
PAIRS = [(text, TEXTS[-1 - number]) for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def tokenizer(t5_folder: Base) -> Any:
    tokenizer = load_tokenizer(str(t5_folder()))
    tokenizer.model_max_length = 48
    return tokenizer


def new_model(t5_folder: Base, task: str = "single_label_classification") -> Any:
    model = convert(str(t5_folder()), num_labels=3, problem_type=task).model
    torch.manual_seed(2)
    with torch.no_grad():
        model.classifier.weight.normal_()
        model.classifier.bias.normal_()
    return model.eval()


def plain_logits(model: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    """Text by text, of the model in evaluation mode; its own mode is as it was then."""
    training = model.training
    model.eval()
    with torch.no_grad():
        rows = [[*tokenizer(text)["input_ids"]] for text in texts]
        rows = [row if len(row) <= 48 else [*row[:47], row[-1]] for row in rows]
        logits = [model(input_ids=torch.tensor([row])).logits[0].numpy() for row in rows]
    model.train(training)
    return np.stack(logits)


def in_threads(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """What was raised."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.parametrize("fold", [True, False])
def test_threads_get_what_one_thread_gets(t5_folder: Base, tokenizer: Any, fold: bool) -> None:
    model = new_model(t5_folder)
    wanted = plain_logits(model, tokenizer, TEXTS)
    predictor = Predictor(model, tokenizer, fold=fold)  # its engine is made by whichever thread is first
    pairs = Predictor(model, copy.deepcopy(tokenizer), fold=fold).logits(PAIRS)
    explained = Predictor(new_model(t5_folder), tokenizer).explain(TEXTS[20])

    def work(number: int) -> None:
        order = np.random.default_rng(number).permutation(len(TEXTS))
        for _ in range(6):
            np.testing.assert_allclose(predictor.logits([TEXTS[i] for i in order]), wanted[order], atol=1e-4)
            np.testing.assert_allclose(predictor.logits([PAIRS[i] for i in order]), pairs[order], atol=1e-4)
        if number % 4 == 0:
            again = predictor.explain(TEXTS[20])
            assert again.tokens_cut == explained.tokens_cut
            np.testing.assert_allclose(again.labels[0].attribution, explained.labels[0].attribution, atol=1e-3)

    assert in_threads(8, work) == []


def test_a_thread_that_switches_the_mode_disturbs_no_other(t5_folder: Base, tokenizer: Any) -> None:
    model = new_model(t5_folder)
    predictors = [Predictor(model, tokenizer, fold=fold) for fold in (True, False)]
    wanted = plain_logits(model, tokenizer, TEXTS[:6])
    stop = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            while not stop.is_set():
                model.train()
                model.eval()
            return
        try:
            for _ in range(15):
                for predictor in predictors:
                    np.testing.assert_allclose(predictor.logits(TEXTS[:6]), wanted, atol=1e-4)
            explanation = predictors[0].explain(TEXTS[0]).labels[0]
            moved = explanation.logit - explanation.baseline_logit
            assert sum(explanation.token_attribution) == pytest.approx(moved, abs=0.05 + 0.08 * abs(moved))
        finally:
            stop.set()

    assert in_threads(2, work) == []


def test_asyncio_by_threads(t5_folder: Base, tokenizer: Any) -> None:
    predictor = Predictor(new_model(t5_folder), tokenizer)
    wanted = plain_logits(predictor.model, tokenizer, TEXTS)

    async def ask() -> list[Any]:
        return await asyncio.gather(*(asyncio.to_thread(predictor.logits, [text]) for text in TEXTS))

    np.testing.assert_allclose(np.concatenate(asyncio.run(ask())), wanted, atol=1e-4)


@pytest.mark.parametrize("optimiser", ["adamw_torch_fused", "adamw_torch", "sgd"])
@pytest.mark.parametrize("fold", [True, False])
def test_between_two_steps_of_a_trainer_predictions_are_those_of_the_weights_then(
    t5_folder: Base, tokenizer: Any, tmp_path: Path, fold: bool, optimiser: str
) -> None:
    model, seen = new_model(t5_folder), []
    predictor = Predictor(model, tokenizer, fold=fold)
    first = predictor.logits(TEXTS[:5])

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            assert model.training
            got, wanted = predictor.logits(TEXTS[:5]), plain_logits(model, tokenizer, TEXTS[:5])
            np.testing.assert_allclose(got, wanted, atol=1e-3)
            assert model.training
            assert all(module.training for module in model.modules())
            seen.append(got)

    arguments = TrainingArguments(
        str(tmp_path),
        max_steps=3,
        learning_rate=1e-2,
        per_device_train_batch_size=4,
        optim=optimiser,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        save_strategy="no",
        logging_strategy="no",
    )
    rows = [{**tokenizer(text), "labels": number % 3} for number, text in enumerate(TEXTS[:12])]
    Trainer(
        model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer), callbacks=[Watch()]
    ).train()
    assert len(seen) == 3
    assert all(np.abs(got - first).max() > 1e-3 for got in seen)


@pytest.mark.parametrize("fold", [True, False])
def test_the_mixed_precision_of_a_trainer_is_not_that_of_predictions(
    t5_folder: Base, tokenizer: Any, tmp_path: Path, fold: bool, caplog: pytest.LogCaptureFixture
) -> None:
    model, steps = new_model(t5_folder), []
    predictor = Predictor(model, tokenizer, fold=fold)

    def check(given: Any) -> None:
        reference = new_model(t5_folder)
        reference.load_state_dict(given.state_dict())
        got = predictor.logits(TEXTS[:5])
        np.testing.assert_allclose(got, plain_logits(reference, tokenizer, TEXTS[:5]), atol=1e-4)

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            assert "forward" in model.__dict__
            check(model)
            steps.append(1)

    arguments = TrainingArguments(
        str(tmp_path), max_steps=2, learning_rate=1e-2, bf16=True, use_cpu=True, report_to=[], save_strategy="no"
    )
    rows = [{**tokenizer(text), "labels": number % 3} for number, text in enumerate(TEXTS[:12])]
    trainer = Trainer(
        model, arguments, train_dataset=rows, data_collator=DataCollatorWithPadding(tokenizer), callbacks=[Watch()]
    )
    trainer.train()
    assert len(steps) == 2
    check(model)
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    assert "forward" in model.__dict__  # that of the class, without its decorators
    check(model)
    assert predictor.settings()["form"] == ("folded model" if fold else "plain model")
    assert pickle.loads(pickle.dumps(predictor)).predict(TEXTS) == predictor.predict(TEXTS)
    assert "predicting with" not in caplog.text


def test_making_a_predictor_leaves_the_mode(t5_folder: Base, tokenizer: Any) -> None:
    for training in (True, False):
        model = new_model(t5_folder).train(training)
        predictor = Predictor(model, tokenizer)
        predictor.predict(TEXTS)
        predictor.explain(TEXTS[0])
        assert {module.training for module in model.modules()} == {training}
        assert predictor.model is model


def hooked(model: Any) -> Any:
    model.transformer.encoder.embed_tokens.register_forward_hook(lambda module, inputs, output: output * 2)
    return model


def pruned(model: Any) -> Any:
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            prune.l1_unstructured(module, "weight", 0.5)
    return model


def parametrised(model: Any) -> Any:
    layer = parametrizations.weight_norm(model.transformer.encoder.block[0].layer[0].SelfAttention.q)
    with torch.no_grad():
        layer.parametrizations.weight.original0.mul_(2)
    return model


def adapted(model: Any) -> Any:
    model = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", target_modules=["q", "v"], lora_dropout=0.5))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize("change", [hooked, pruned, parametrised, adapted])
@pytest.mark.parametrize("training", [True, False])
def test_what_folding_would_leave_out_runs_as_it_is_and_says_so(
    t5_folder: Base,
    tokenizer: Any,
    change: Callable[[Any], Any],
    training: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = new_model(t5_folder)
    untouched = Predictor(model, tokenizer)
    before = untouched.logits(TEXTS)
    assert untouched.settings()["form"] == "folded model"
    changed = change(model).train(training)
    predictor = Predictor(changed, tokenizer) if change is adapted else untouched
    wanted = plain_logits(changed, tokenizer, TEXTS)
    assert np.abs(wanted - before).max() > 0.01
    np.testing.assert_allclose(predictor.logits(TEXTS), wanted, atol=1e-4)
    assert predictor.settings()["form"] == "plain model"
    (message,) = [record.getMessage() for record in caplog.records if "plain model" in record.getMessage()]
    assert "hook" in message or "Parametrized" in message or "peft" in message
    label = predictor.explain(TEXTS[0]).labels[0]
    moved = label.logit - label.baseline_logit
    assert label.logit == pytest.approx(wanted[0].max(), abs=1e-4)
    if change is not hooked:  # the hook doubles what the explanation takes for the embedding
        assert sum(label.token_attribution) == pytest.approx(moved, abs=0.05 + 0.08 * abs(moved))
    assert sum(label.attention) == pytest.approx(1, abs=1e-4)
    assert changed.training is training


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "joblib": lambda value: _by_joblib(value),
    "torch": lambda value: _by_torch(value),
}


def _by_joblib(value: Any) -> Any:
    file = io.BytesIO()
    joblib.dump(value, file)
    return joblib.load(io.BytesIO(file.getvalue()))


def _by_torch(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=False)


@pytest.mark.parametrize("task", sorted({task.name for task in TASKS.values()}))
@pytest.mark.parametrize("way", COPIES)
def test_copies_predict_alike(t5_folder: Base, tokenizer: Any, task: str, way: str) -> None:
    kind = EncT5ForTokenClassification if task == "token_classification" else EncT5ForSequenceClassification
    model = convert(str(t5_folder()), model_class=kind, num_labels=3, problem_type=task).model
    model.classifier.bias.data.normal_()
    predictor = Predictor(model, tokenizer, fold=task != "regression", batch_tokens=100)
    for _ in range(2):  # before and after an engine is made
        other = COPIES[way](predictor)
        assert other.task is predictor.task
        assert (other.fold, other.batch_tokens) == (predictor.fold, 100)
        assert other.predict(TEXTS) == predictor.predict(TEXTS)
    other.model.classifier.bias.data.add_(1)
    assert other.predict(TEXTS) != predictor.predict(TEXTS)


def test_a_model_whose_attention_was_explained_can_be_pickled(t5_folder: Base, tokenizer: Any) -> None:
    predictor = Predictor(new_model(t5_folder), tokenizer)
    predictor.explain(TEXTS[0])
    assert pickle.loads(pickle.dumps(predictor)).predict(TEXTS) == predictor.predict(TEXTS)


@pytest.mark.slow
def test_processes_that_are_started_anew_predict_alike(t5_folder: Base, tokenizer: Any) -> None:
    predictor = Predictor(new_model(t5_folder), tokenizer)
    wanted = predictor.logits(TEXTS)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for _ in range(2):
            np.testing.assert_allclose(pool.submit(logits_there, predictor, TEXTS).result(), wanted, atol=1e-5)
    np.testing.assert_array_equal(predictor.logits(TEXTS), wanted)
