"""T5 as its authors use it: fine-tuned to write a label's name, by the trainer of `enct5 train`."""

import time
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import (
    DataCollatorForSeq2Seq,
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5ForConditionalGeneration,
    set_seed,
)

from enct5.assets import bundled_t5
from enct5.data import reading
from enct5.data.columns import read_texts
from enct5.metrics.classification import single_label_metrics
from enct5.model.loading import load_tokenizer
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import IGNORED
from enct5.training import trainer as trainer_module
from enct5.training.config import TrainConfig
from enct5.training.data import prepare, read_rows
from enct5.training.dataset import as_dataset
from enct5.training.defaults import resolve
from enct5.training.trainer import EncT5Trainer
from sets import Benchmark, test_file


class TextToTextTrainer(EncT5Trainer, Seq2SeqTrainer):
    """Batches of like length and relative steps for a model that writes its answer."""


def text_to_text(config: TrainConfig, benchmark: Benchmark) -> dict[str, Any]:
    """Train on the labels' names, and measure what is written for the test file (single-label only)."""
    started = time.time()
    base = str(bundled_t5())
    tokenizer = load_tokenizer(base)
    config = config.model_copy(update={"max_length": config.max_length or 512})  # this T5 has no windows
    prepared = prepare(config, read_rows(config), tokenizer)
    names = [name.replace("_", " ") for name in prepared.label_names]
    answers = tokenizer(names)["input_ids"]
    written = {tokenizer.decode(answer, skip_special_tokens=True): label for label, answer in enumerate(answers)}
    assert len(written) == len(names), "two labels are written alike"

    def with_answers(rows: Dataset) -> Dataset:
        return Dataset.from_dict(
            {
                "input_ids": rows["input_ids"][:],
                "length": rows["length"][:],
                "labels": [answers[label] for label in rows["labels"][:]],
            }
        )

    def measure(result: EvalPrediction) -> dict[str, float]:
        wanted, found = (
            [
                written.get(tokenizer.decode(row[row != IGNORED], skip_special_tokens=True), len(names))
                for row in np.asarray(rows)
            ]
            for rows in (result.label_ids, result.predictions)
        )
        chosen = np.eye(len(names) + 1)[found]  # the last column: what is no label's name
        return single_label_metrics(chosen, np.array(wanted))

    set_seed(config.seed)
    model = T5ForConditionalGeneration.from_pretrained(base, dtype="float32")
    settings = resolve(config, prepared.task, model.config.d_model, len(prepared.train))
    assert settings.epochs is not None
    assert settings.learning_rate is not None
    steps = max(1, round(len(prepared.train) / settings.batch_size)) * settings.epochs
    interval = max(1, round(steps / trainer_module.EVALUATIONS))
    trainer = TextToTextTrainer(
        model,
        Seq2SeqTrainingArguments(
            output_dir=config.out,
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            per_device_eval_batch_size=trainer_module.EVAL_BATCH_SIZE,
            learning_rate=settings.learning_rate,
            warmup_steps=settings.warmup,
            weight_decay=settings.weight_decay,
            use_cpu=True,
            eval_strategy="steps",
            eval_steps=interval,
            save_strategy="steps",
            save_steps=interval,
            save_total_limit=2,
            load_best_model_at_end=True,
            metric_for_best_model=prepared.task.metric_for_best_model,
            predict_with_generate=True,
            generation_max_length=max(map(len, answers)) + 1,
            generation_num_beams=1,
            seed=config.seed,
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=with_answers(prepared.train),
        eval_dataset=with_answers(prepared.evaluation.dataset),
        data_collator=DataCollatorForSeq2Seq(tokenizer, model),
        compute_metrics=measure,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=settings.patience)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    held_out = trainer.evaluate()
    table = reading.read_table(test_file(benchmark))
    ids = [prepared.label_names.index(str(label)) for label in table[benchmark.label][:]]
    test = as_dataset(WholeTexts(read_texts(table, benchmark.text), tokenizer, config.max_length), np.array(ids))
    figures = trainer.evaluate(with_answers(test), metric_key_prefix="test")
    return {
        "value": figures[f"test_{benchmark.metric}"],
        "eval_value": held_out[f"eval_{benchmark.metric}"],
        "millions": model.num_parameters() / 1e6,
        "steps": trainer.state.global_step,
        "seconds": round(time.time() - started, 1),
    }
