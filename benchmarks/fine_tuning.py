"""What each default of `enct5 train` is worth: the run with one of them changed, beside the run with all.

    python benchmarks/fine_tuning.py            (writes results/fine_tuning.jsonl and .md)

Samples of 2,000 training rows (pairs 1,000), 4 epochs, up to three seeds. Figures of 2,000 other training rows: no
test file is touched, since the table chooses defaults, and the 200 rows that a run holds out would be too few to tell.
A difference within one spread is none.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import Trainer

from enct5.inference.evaluation import evaluate
from enct5.training.model_init import build_model, start_as_mean
from enct5.training.optimizer import ENCODER_SHARE
from enct5.training.trainer import EncT5Trainer
from records import RESULTS, T5, markdown_table, mean_and_spread, records_asked_for, write_table
from sets import CLASSIFICATION, SAMPLE_SEED, STSB, Benchmark, read_training_rows
from training_runs import train

SEEDS = (1, 2, 3)
ROWS, EPOCHS, MEASURED_ROWS = 2000, 4, 2000
SETS = tuple(
    replace(benchmark, rows=ROWS // len(benchmark.text), epochs=EPOCHS)
    for benchmark in (*CLASSIFICATION, STSB)
    if benchmark.name in ("banking77", "sst2", "stsb")
)
FILE = RESULTS / "fine_tuning.jsonl"
NEW_TENSORS = ("classifier.", "transformer.decoder.embed_tokens.")


class AbsoluteSteps(EncT5Trainer):
    """AdamW with one rate for all tensors."""

    create_optimizer = Trainer.create_optimizer


def with_rates(factor: Callable[[str, int], float]) -> type[EncT5Trainer]:
    """A trainer that multiplies the rate of each tensor by `factor(name, number of encoder layers)`."""

    class Rates(EncT5Trainer):
        def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
            if self.optimizer is None:
                optimizer = super().create_optimizer(model)
                names = {parameter: name for name, parameter in self.model.named_parameters()}
                for group in optimizer.param_groups:
                    group["lr"] *= factor(names[group["params"][0]], self.model.config.num_layers)
            return self.optimizer

    return Rates


def new_tensors(times: float) -> Callable[[str, int], float]:
    """Another rate for the prompts and the head."""
    return lambda name, layers: times if name.startswith(NEW_TENSORS) else 1.0


def encoder_too(name: str, layers: int) -> float:
    """What the encoder's share of the rate is divided by."""
    return 1 / ENCODER_SHARE if ".encoder." in name else 1.0


def layer_wise(name: str, layers: int) -> float:
    """0.8 for every layer between a tensor and the top of the encoder."""
    if ".encoder.block." in name:
        return 0.8 ** (layers - 1 - int(name.split(".block.")[1].split(".")[0]))
    return 0.8**layers if name.startswith("transformer.shared.") else 1.0


class AveragedWeights(EncT5Trainer):
    """Evaluates and saves an exponential moving average of the weights (decay 0.98: of the last 50 steps)."""

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        model: Any = self.model
        if not hasattr(self, "average"):
            self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98))
        self.average.update_parameters(model)
        if not self.control.should_evaluate:
            return super()._maybe_log_save_evaluate(*args, **kwargs)
        present = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.average.module.state_dict())
        super()._maybe_log_save_evaluate(*args, **kwargs)
        model.load_state_dict(present)
        return None


class RDrop(EncT5Trainer):
    """R-Drop (arXiv 2106.14448): two passes with other dropout, which are to agree; its weight is 1."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The mean loss of both passes and the divergence between them."""
        loss, outputs = super().compute_loss(model, dict(inputs), True, num_items_in_batch)
        if model.training:
            again, others = super().compute_loss(model, dict(inputs), True, num_items_in_batch)
            share = len(inputs["labels"]) / self.batch_sampler.mean_rows
            loss = (loss + again) / 2 + share * self._divergence(outputs["logits"], others["logits"])
        return (loss, outputs) if return_outputs else loss

    @staticmethod
    def _divergence(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        if first.shape[-1] == 1:  # regression
            return functional.mse_loss(first, second)
        one, two = first.log_softmax(-1), second.log_softmax(-1)
        divergence = functional.kl_div(one, two, log_target=True, reduction="batchmean")
        return (divergence + functional.kl_div(two, one, log_target=True, reduction="batchmean")) / 2


def prompts_at_random(model: Any) -> None:
    """Prompts from N(0, 1), as in the reference implementation, instead of `<pad>`."""
    nn.init.normal_(model.transformer.decoder.embed_tokens.weight)


@dataclass(frozen=True)
class Change:
    """What a run has in place of a default: options of `enct5 train`, the trainer, or the model that it starts from.

    Attributes:
        start: arguments of `build_model`.
        adjust: called with the model that it made.
    """

    options: dict[str, Any] = field(default_factory=dict)
    trainer: type = EncT5Trainer
    start: dict[str, Any] = field(default_factory=dict)
    adjust: Callable[[Any], None] = lambda model: None


CHANGES = {
    "all defaults": Change(),
    "AdamW, one rate (1e-3)": Change({"learning_rate": 1e-3}, AbsoluteSteps),
    "half the rate": Change({"learning_rate": 0.005}),
    "twice the rate": Change({"learning_rate": 0.02}),
    "the encoder at the rate of the rest": Change(trainer=with_rates(encoder_too)),
    "new tensors at a third of the rate": Change(trainer=with_rates(new_tensors(1 / 3))),
    "new tensors at 3 times the rate": Change(trainer=with_rates(new_tensors(3))),
    "layer-wise decay 0.8": Change(trainer=with_rates(layer_wise)),
    "no warm-up": Change({"warmup": 0.0}),
    "no label smoothing": Change({"label_smoothing": 0.0}),
    "the decoder started as a mean": Change(adjust=start_as_mean),
    "prompts from N(0, 1)": Change(adjust=prompts_at_random),
    "dropout in the decoder, too": Change(start={"decoder_dropout_rate": 0.1}),
    "no dropout": Change(start={"dropout_rate": 0.0}),
    "dropout 0.1": Change(start={"dropout_rate": 0.1}),
    "dropout 0.2": Change(start={"dropout_rate": 0.2}),
    "moving average of weights": Change(trainer=AveragedWeights),
    "R-Drop": Change(trainer=RDrop),
    "twice the epochs": Change({"epochs": 2 * EPOCHS}),
    "LoRA": Change({"lora": True}),
}
# By default classes are learned with smoothing, and with dropout in the encoder; numbers without either.
OF_CLASSES, OF_NUMBERS = ("no label smoothing", "no dropout"), ("dropout 0.1",)


def write_other_rows(benchmark: Benchmark, folder: Path) -> str:
    """Training rows outside the sample, to measure on."""
    table = read_training_rows(replace(benchmark, rows=None))
    chosen = np.random.default_rng(SAMPLE_SEED).permutation(len(table))[benchmark.rows :][:MEASURED_ROWS]
    path = folder / "other_rows.parquet"
    table.select(np.sort(chosen)).to_parquet(str(path))
    return str(path)


def run(key: dict[str, Any]) -> dict[str, Any]:
    """One record."""
    benchmark = next(benchmark for benchmark in SETS if benchmark.name == key["set"])
    change = CHANGES[key["change"]]

    def build(*args: Any, **kwargs: Any) -> Any:
        model = build_model(*args, **{**kwargs, **change.start})
        change.adjust(model)
        return model

    with tempfile.TemporaryDirectory() as temporary:
        parts = {"trainer_class": change.trainer, "build": build}
        predictor, record = train(benchmark, Path(temporary), key["seed"], parts=parts, **change.options)
        measured = evaluate(predictor, write_other_rows(benchmark, Path(temporary)))
    return {"value": measured["metrics"][benchmark.metric], "steps": record["steps"], "seconds": record["seconds"]}


def keys() -> list[dict[str, Any]]:
    """All runs."""
    return [
        {"set": benchmark.name, "change": change, "seed": seed, **T5}
        for seed in SEEDS
        for change in CHANGES
        for benchmark in SETS
        if change not in (OF_NUMBERS if benchmark.metric == "accuracy" else OF_CLASSES)
    ]


def main() -> None:
    """Run what is missing and write the table."""
    records = records_asked_for(__doc__, FILE, keys(), run)
    value = mean_and_spread(records, ("set", "change"), "value")
    rows = [[change, *(value.get((benchmark.name, change), "") for benchmark in SETS)] for change in CHANGES]
    head = ["changed", *(f"{benchmark.name}, {benchmark.metric}" for benchmark in SETS)]
    note = "Mean over the seeds on file, ± standard deviation where there are several; without one it is a single seed."
    write_table(FILE, __doc__, records, markdown_table(head, rows), note)


if __name__ == "__main__":
    main()
