"""The trainer: every text weighs the same, every epoch has every text, and warnings come when they are due."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import (
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LabelSmoother

from enct5.errors import EncT5Error
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification, EncT5ForTokenClassification
from enct5.training import trainer as trainer_module
from enct5.training.callbacks import ProgressCallback
from enct5.training.trainer import EncT5Trainer
from helpers.paths import TOKENIZER
from helpers.runs import heard

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS = 24


def dataset() -> Dataset:
    lengths = [3 + row % 12 for row in range(ROWS)]
    ids = [[10 + row] * (length - 1) + [1] for row, length in enumerate(lengths)]
    return Dataset.from_dict({"input_ids": ids, "length": lengths, "labels": [row % 3 for row in range(ROWS)]})


def make(base: Path, out: Path, **options: Any) -> EncT5Trainer:
    model = EncT5ForSequenceClassification.from_t5(str(base), num_labels=3, problem_type="single_label_classification")
    return EncT5Trainer(
        model,
        arguments(out, **options),
        train_dataset=dataset(),
        eval_dataset=dataset(),
        data_collator=DataCollatorWithPadding(AutoTokenizer.from_pretrained(TOKENIZER)),
    )


def arguments(out: Path, **options: Any) -> TrainingArguments:
    settings = {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "report_to": [],
        "disable_tqdm": True,
        "seed": 3,
    }
    return TrainingArguments(output_dir=str(out), **settings | options)


@pytest.fixture
def trainer(t5_folder: Callable[..., Path], tmp_path: Path) -> EncT5Trainer:
    return make(t5_folder(dropout_rate=0.0), tmp_path)


def gradient(trainer: EncT5Trainer, rows: Iterable[int]) -> torch.Tensor:
    """The gradient that a training batch of these rows gives to all parameters."""
    batch = trainer.data_collator([{"input_ids": row["input_ids"], "labels": row["labels"]} for row in pick(rows)])
    model = trainer.model.train()
    model.zero_grad()
    trainer.compute_loss(model, batch).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def pick(rows: Iterable[int]) -> list[dict[str, Any]]:
    table = dataset()
    return [table[row] for row in rows]


@pytest.mark.parametrize(
    "loss", [{}, {"class_weights": [0.2, 1.0, 6.0]}, {"loss": "focal", "class_weights": [3, 1, 1]}]
)
def test_a_text_weighs_the_same_in_small_and_large_batches(trainer: EncT5Trainer, loss: dict[str, Any]) -> None:
    trainer.get_train_dataloader()
    for key, value in loss.items():
        setattr(trainer.model.config, key, value)
    alone = sum(gradient(trainer, [row]) for row in (2, 5, 11, 20))
    together = gradient(trainer, (2, 5, 11, 20))
    largest = float(together.abs().max())
    assert largest > 1e-4
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3 * largest)


def test_a_batch_of_average_size_has_the_plain_loss(trainer: EncT5Trainer) -> None:
    trainer.get_train_dataloader()
    assert trainer.batch_sampler.mean_rows == 4
    batch = trainer.data_collator([{k: row[k] for k in ("input_ids", "labels")} for row in pick(range(4))])
    model = trainer.model.train()
    assert trainer.compute_loss(model, dict(batch)).item() == pytest.approx(model(**batch).loss.item(), rel=1e-5)


def test_label_smoothing_is_that_of_cross_entropy(trainer: EncT5Trainer) -> None:
    trainer.label_smoother = LabelSmoother(0.2)
    trainer.get_train_dataloader()
    batch = trainer.data_collator([{k: row[k] for k in ("input_ids", "labels")} for row in pick(range(4))])
    model = trainer.model.train()
    wanted = torch.nn.functional.cross_entropy(model(**batch).logits, batch["labels"], label_smoothing=0.2).item()
    assert trainer.compute_loss(model, dict(batch)).item() == pytest.approx(wanted, rel=1e-5)
    assert wanted != pytest.approx(model(**batch).loss.item(), rel=1e-4)


def test_the_evaluation_loss_is_the_plain_mean(trainer: EncT5Trainer) -> None:
    trainer.get_train_dataloader()
    batch = trainer.data_collator([{k: row[k] for k in ("input_ids", "labels")} for row in pick(range(ROWS))])
    with torch.no_grad():
        plain = trainer.model.eval()(**batch).loss.item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(plain, rel=1e-5)


def sizes(trainer: EncT5Trainer, run: Callable[[], Any]) -> tuple[list[tuple[int, int]], Any]:
    """The shapes of the batches that the model is given, and what the call returns."""
    seen: list[tuple[int, int]] = []

    def watch(module: Any, inputs: Any, options: dict[str, Any]) -> None:
        seen.append(tuple(options["input_ids"].shape))

    hook = trainer.model.register_forward_pre_hook(watch, with_kwargs=True)
    result = run()
    hook.remove()
    return seen, result


def test_an_evaluation_needs_no_more_room_than_training_and_finds_the_same(
    trainer: EncT5Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer.args.per_device_eval_batch_size = 16
    lengths = dataset()["length"][:]
    room = (sum(lengths) + ROWS) / (ROWS // 4)  # of a training batch: tokens, and a prompt for each text
    seen, parts = sizes(trainer, lambda: trainer.predict(dataset()))
    assert sum(rows for rows, _ in seen) == ROWS
    assert all(rows * (tokens + 1) <= room for rows, tokens in seen)
    assert max(rows for rows, _ in seen) > 1
    trainer.__dict__["_room"] = math.inf
    seen, whole = sizes(trainer, lambda: trainer.predict(dataset()))
    assert [rows for rows, _ in seen] == [16, 8]
    torch.testing.assert_close(torch.tensor(parts.predictions), torch.tensor(whole.predictions), rtol=1e-4, atol=1e-5)
    assert (parts.label_ids == whole.label_ids).all()
    assert parts.metrics["test_loss"] == pytest.approx(whole.metrics["test_loss"], rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_step_of_long_texts_is_trained_in_parts_that_add_up(trainer: EncT5Trainer, smoothing: float) -> None:
    trainer.get_train_dataloader()
    trainer.label_smoother = LabelSmoother(smoothing) if smoothing else None
    rows = [{"input_ids": [10 + row] * 600 + [1], "labels": row % 3} for row in range(5)]  # of 4 * 512 tokens, 3 fit
    batch = trainer.data_collator(rows)
    found = []
    for room in (512, 10_000):
        trainer.model.zero_grad()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer_module, "ROOM_OF_A_TEXT", room)
            trainer.current_gradient_accumulation_steps = 1
            seen, loss = sizes(trainer, lambda: trainer.training_step(trainer.model, dict(batch)))
        gradients = torch.cat([parameter.grad.flatten() for parameter in trainer.model.parameters()])
        found.append((seen, loss, gradients))
    (parts, loss, gradient), (whole, wanted_loss, wanted) = found
    assert parts == [(3, 601), (2, 601)]
    assert whole == [(5, 601)]
    assert not loss.requires_grad
    torch.testing.assert_close(loss, wanted_loss, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-3 * float(wanted.abs().max()))


def test_short_texts_are_trained_at_once(trainer: EncT5Trainer) -> None:
    trainer.get_train_dataloader()
    trainer.current_gradient_accumulation_steps = 1
    batch = trainer.data_collator([{"input_ids": [10] * 511 + [1], "labels": 0}] * 4)
    assert sizes(trainer, lambda: trainer.training_step(trainer.model, dict(batch)))[0] == [(4, 512)]


def test_an_evaluation_of_long_texts_takes_as_many_at_once(trainer: EncT5Trainer) -> None:
    long = Dataset.from_dict({"input_ids": [[10] * 600 + [1]] * 5, "length": [601] * 5, "labels": [0] * 5})
    trainer.train_dataset = long
    assert sizes(trainer, lambda: trainer.predict(long))[0] == [(3, 601), (2, 601)]


def test_a_text_longer_than_a_batch_is_evaluated_alone(trainer: EncT5Trainer) -> None:
    long = Dataset.from_dict({"input_ids": [[10] * 400 + [1], [11, 1], [12, 1]], "labels": [0, 1, 2]})
    seen, _ = sizes(trainer, lambda: trainer.predict(long))
    assert seen == [(1, 401)] * 3


def test_the_loss_of_tags_is_the_mean_over_tagged_tokens_in_parts_too(
    t5_folder: Callable[..., Path], tmp_path: Path
) -> None:
    model = EncT5ForTokenClassification.from_t5(str(t5_folder(dropout_rate=0.0)), num_labels=3)
    tags = [[row % 3 if row % 4 else -100] * (4 + row % 3) for row in range(12)]
    rows = Dataset.from_dict(
        {
            "input_ids": [[10 + row] * len(labels) for row, labels in enumerate(tags)],
            "labels": tags,
            "length": [len(labels) for labels in tags],
        }
    )
    collator = DataCollatorForTokenClassification(AutoTokenizer.from_pretrained(TOKENIZER))
    trainer = EncT5Trainer(
        model, arguments(tmp_path, per_device_train_batch_size=1), train_dataset=rows, data_collator=collator
    )
    trainer.args.per_device_eval_batch_size = 12
    seen, parts = sizes(trainer, lambda: trainer.predict(rows))
    assert [count for count, _ in seen] == [1] * 12
    trainer.__dict__["_room"] = math.inf
    whole = trainer.predict(rows)
    assert parts.metrics["test_loss"] == pytest.approx(whole.metrics["test_loss"], rel=1e-5)
    assert parts.predictions.shape == whole.predictions.shape


def test_rows_are_loaded_as_the_arguments_say(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    options = {"dataloader_num_workers": 1, "dataloader_prefetch_factor": 3, "dataloader_persistent_workers": True}
    trainer = make(t5_folder(), tmp_path, **options)
    loader = trainer.get_train_dataloader()
    assert (loader.num_workers, loader.prefetch_factor, loader.persistent_workers) == (1, 3, True)
    assert not loader.pin_memory


@pytest.mark.parametrize(
    "wrong", [{"dataloader_drop_last": True}, {"auto_find_batch_size": True}, {"train_sampling_strategy": "sequential"}]
)
def test_other_batches_than_its_own_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (name,) = wrong
    if name not in TrainingArguments.__dataclass_fields__:
        pytest.skip("newer than this transformers")
    with pytest.raises(EncT5Error, match=f"`{name}` is .*makes batches of its own.*leave it out"):
        EncT5Trainer(None, arguments(tmp_path, **wrong))


def test_several_gpus_of_one_process_are_not_shared_by_data_parallel(trainer: EncT5Trainer, tmp_path: Path) -> None:
    several = arguments(tmp_path)
    several._n_gpu = 2  # as where there are two
    assert isinstance(Trainer(trainer.model, several)._wrap_model(trainer.model), torch.nn.DataParallel)
    ours = EncT5Trainer(trainer.model, several)
    assert ours._wrap_model(trainer.model) is trainer.model
    assert (ours.args.n_gpu, ours.args.train_batch_size) == (1, 4)


def test_training_sees_every_text_once_an_epoch_in_a_new_order(trainer: EncT5Trainer) -> None:
    seen: list[list[int]] = []
    collate = trainer.data_collator

    def watched(rows: list[dict[str, Any]]) -> Any:
        seen.append([row["input_ids"][0] - 10 for row in rows])
        return collate(rows)

    trainer.data_collator = watched
    trainer.train()
    steps = ROWS // 4
    assert trainer.state.global_step == len(seen) == 2 * steps
    epochs = [[row for batch in part for row in batch] for part in (seen[:steps], seen[steps:])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(ROWS))
    assert epochs[0] != epochs[1]


def test_cudnns_attention_is_left_out_as_long_as_training_runs(trainer: EncT5Trainer) -> None:
    collate, seen = trainer.data_collator, []

    def watched(rows: list[dict[str, Any]]) -> Any:
        seen.append(torch.backends.cuda.cudnn_sdp_enabled())
        return collate(rows)

    trainer.data_collator = watched
    assert torch.backends.cuda.cudnn_sdp_enabled()
    trainer.train()
    assert set(seen) == {False}
    assert torch.backends.cuda.cudnn_sdp_enabled()


def narrate(
    losses: Iterable[float],
    max_steps: int = 100,
    earlier: Iterable[float] = (),
    starts_untrained: bool = True,
    evaluations: Iterable[float] = (1.0,),
) -> list[str]:
    """What is said when a loss is logged every second step, after those logged before an interruption."""
    said: list[str] = []
    narrator = ProgressCallback("accuracy", starts_untrained)
    settings, control = TrainingArguments(output_dir="unused", use_cpu=True), TrainerControl()
    history = [{"loss": loss, "step": 2 * number} for number, loss in enumerate(earlier, 1)]
    state = TrainerState(
        max_steps=max_steps, log_history=[*history, *({"eval_loss": loss, "step": 1} for loss in evaluations)]
    )
    with heard(said.append):
        narrator.on_train_begin(settings, state, control)
        for number, loss in enumerate(losses, len(history) + 1):
            state.global_step = 2 * number
            narrator.on_log(settings, state, control, logs={"loss": loss, "learning_rate": 0.1})
            narrator.on_log(settings, state, control, logs={"eval_loss": 9.9})
    return said


def falling(steps: int) -> list[float]:
    return [math.exp(-step / 10) for step in range(steps)]


def test_a_flat_loss_is_called_flat_once_half_the_steps_are_done() -> None:
    noisy = [0.69 + 0.01 * (-1) ** step for step in range(50)]
    assert narrate(noisy[:24]) == []
    (warning,) = narrate(noisy)
    assert warning.startswith("warning: the loss is flat (0.693 at the start, 0.691 now)")
    assert "--learning-rate" in warning


def test_a_rising_loss_is_called_flat_too() -> None:
    (warning,) = narrate([1.0 + step / 10 for step in range(50)])
    assert "learned next to nothing" in warning


def test_a_falling_loss_is_not_commented_on() -> None:
    assert narrate(falling(50)) == []
    assert narrate([1 - step / 500 for step in range(50)]) == []


def test_a_jumping_loss_is_not_called_flat_where_that_of_the_evaluation_falls() -> None:
    jumping = [0.6 - 0.5 * (-1) ** step for step in range(50)]
    assert len(narrate(jumping, evaluations=[0.9, 0.89, 0.9])) == 1
    assert narrate(jumping, evaluations=[0.9, 0.7, 0.95]) == []


def test_a_model_that_is_trained_on_is_not_told_to_have_learned_nothing() -> None:
    assert narrate([0.1] * 50, starts_untrained=False) == []


def test_a_run_of_hardly_any_logged_losses_is_not_judged() -> None:
    assert narrate([1.0, 1.0, 1.0], max_steps=6) == []


def test_a_resumed_run_is_judged_by_its_start_before_the_interruption() -> None:
    low = [0.01] * 30  # learned before the interruption, and no better since
    assert narrate(low, earlier=falling(20)) == []
    (warning,) = narrate([0.7] * 30, earlier=[0.7] * 20)
    assert "the loss is flat" in warning


def test_a_loss_that_is_no_number_is_reported_once() -> None:
    said = narrate([0.7, 0.7, math.nan, math.nan, math.nan], max_steps=1000)
    assert len(said) == 1
    assert said[0].startswith("warning: the loss is not a number; lower --learning-rate")
    assert len(narrate([0.7, math.inf], max_steps=1000)) == 1


def test_an_evaluation_is_one_line_with_its_score(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "enct5")
    narrator = ProgressCallback("macro_f1")
    settings, control = TrainingArguments(output_dir="unused", use_cpu=True), TrainerControl()
    state = TrainerState(epoch=2.5, global_step=10, max_steps=100)
    metrics = {"eval_loss": 0.25, "eval_macro_f1": 0.875}
    narrator.on_evaluate(settings, state, control, metrics=metrics)
    narrator.on_log(settings, state, control, logs={"loss": 0.5})
    narrator.on_evaluate(settings, state, control, metrics=metrics)
    assert caplog.messages == [
        "epoch   2.5  eval loss 0.250  macro_f1 0.8750",
        "epoch   2.5  loss 0.500  eval loss 0.250  macro_f1 0.8750",
    ]


def test_a_loss_of_a_subclass_is_that_of_the_whole_step(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    class Own(EncT5Trainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
            return model(**inputs).loss

    trainer = make(t5_folder(), tmp_path)
    trainer.__class__ = Own
    trainer.current_gradient_accumulation_steps = 1
    batch = trainer.data_collator([{"input_ids": [10] * 600 + [1], "labels": 0}] * 5)
    assert sizes(trainer, lambda: trainer.training_step(trainer.model, dict(batch)))[0] == [(5, 601)]
