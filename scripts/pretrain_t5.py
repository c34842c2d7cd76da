"""Train a tokenizer and a small T5 from text files: the recipe of the two checkpoints bundled with enct5.

    python scripts/pretrain_t5.py corpus/*.txt.xz --out runs/t5 --steps 4000

A sentencepiece unigram tokenizer with T5's 100 sentinels, then span corruption (arXiv 1910.10683, section 3.1.4:
spans of 3 tokens on average) on a gated-gelu T5 with one decoder layer, the only one EncT5 keeps.

    python scripts/pretrain_t5.py corpus/*.txt.xz --base runs/t5 --out runs/pairs --steps 1200 --lr 0.005

goes on from there with span corruption and comparisons of two texts (comparisons.py), which from the first step on
would keep the words from being learned. What that T5 gains on pairs (held-out rows of stsb: Pearson 0.75 instead of
0.27) it loses on few single texts (test accuracy of the demo 0.28 instead of 0.41), so it is bundled for pairs alone.

Several processes share the work with `torchrun --nproc-per-node 2 scripts/pretrain_t5.py ...`.
Every step's batch follows from the seed and the step alone, so `--resume` continues exactly where a run stopped.
Text files hold one paragraph a line, plain or xz-compressed.
"""

import argparse
import json
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from sklearn.utils.extmath import randomized_svd
from torch.utils.data import Dataset
from transformers import (
    T5Config,
    T5ForConditionalGeneration,
    T5Tokenizer,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from comparisons import IGNORED, ComparingT5, comparison

SENTINELS = 100
MEAN_SPAN = 3.0
HELD_OUT_EVERY = 200  # one paragraph in so many is kept for the loss on unseen text
EVAL_ROWS = 512
PAIR_EVERY = 4  # one row in so many compares two texts


def paragraphs(path: Path) -> Iterator[str]:
    """The non-empty lines of a plain or xz-compressed text file."""
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            if line := line.strip():
                yield line


def train_tokenizer(files: list[Path], out: Path, vocab_size: int) -> T5Tokenizer:
    """Train (or reload) the unigram tokenizer; `vocab_size` counts T5's sentinels."""
    if not (out / "tokenizer.json").exists():
        out.mkdir(parents=True, exist_ok=True)
        # Every file contributes at most 60,000 paragraphs, so that books do not crowd out everyday language.
        sentences = (line for path in files for _, line in zip(range(60_000), paragraphs(path), strict=False))
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences,
            model_prefix=str(out / "spiece"),
            vocab_size=vocab_size - SENTINELS,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            num_threads=2,
            minloglevel=1,
        )
        T5Tokenizer.from_pretrained(out, extra_ids=SENTINELS).save_pretrained(out)
        for leftover in ("spiece.model", "spiece.vocab"):
            (out / leftover).unlink()
    return T5Tokenizer.from_pretrained(out)


def encode_corpus(files: list[Path], tokenizer: T5Tokenizer, cache: Path) -> dict[str, list[np.ndarray]]:
    """Token ids of every file as `{"train": [...], "held_out": [...]}`; paragraphs end with `</s>`."""
    cache.mkdir(parents=True, exist_ok=True)
    splits: dict[str, list[np.ndarray]] = {"train": [], "held_out": []}
    for path in files:
        saved = cache / f"{path.name}.npz"
        if not saved.exists():
            parts: dict[str, list[int]] = {"train": [], "held_out": []}
            lines = list(paragraphs(path))
            for start in range(0, len(lines), 10_000):
                encoded = tokenizer(lines[start : start + 10_000], return_attention_mask=False, verbose=False)
                for offset, ids in enumerate(encoded["input_ids"]):
                    parts["train" if (start + offset) % HELD_OUT_EVERY else "held_out"].extend(ids)
            np.savez(saved, **{split: np.array(ids, dtype=np.uint16) for split, ids in parts.items()})
        with np.load(saved) as arrays:
            for split in splits:
                splits[split].append(arrays[split])
    return splits


def random_partition(rng: np.random.Generator, total: int, parts: int) -> np.ndarray:
    """Lengths of `parts` non-empty segments that sum to `total`, uniformly among all such partitions."""
    cuts = np.sort(rng.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(np.concatenate(([0], cuts, [total])))


def corrupt(
    window: np.ndarray, rng: np.random.Generator, first_sentinel: int, noise_density: float
) -> dict[str, np.ndarray]:
    """Replace random spans by sentinels (`input_ids`); the spans behind their sentinels are the `labels`."""
    noise = round(len(window) * noise_density)
    spans = max(1, round(noise / MEAN_SPAN))
    kept, dropped = random_partition(rng, len(window) - noise, spans), random_partition(rng, noise, spans)
    input_ids, labels, position = [], [], 0
    for index in range(spans):
        sentinel = [first_sentinel - index]
        middle, end = position + kept[index], position + kept[index] + dropped[index]
        input_ids += [window[position:middle], sentinel]
        labels += [sentinel, window[middle:end]]
        position = end
    return {name: np.concatenate([*pieces, [1]]) for name, pieces in (("input_ids", input_ids), ("labels", labels))}


class Examples(Dataset):
    """`size` corrupted windows, every `pair_every`-th a pair of texts instead; item `i` depends on seed and `i` alone.

    Files are drawn in proportion to (token count) ** `alpha`: with `alpha` < 1 small files are seen more than once
    for every pass over the large ones.
    """

    def __init__(
        self,
        arrays: list[np.ndarray],
        size: int,
        window: int,
        alpha: float,
        first_sentinel: int,
        noise_density: float,
        seed: int,
        pair_every: int | None,
    ):
        self.arrays = [array for array in arrays if len(array) > window]
        weights = np.array([len(array) ** alpha for array in self.arrays])
        self.probabilities = weights / weights.sum()
        self.size, self.window, self.seed, self.pair_every = size, window, seed, pair_every
        self.first_sentinel, self.noise_density = first_sentinel, noise_density

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((self.seed, index))
        row = corrupt(self._window(rng), rng, self.first_sentinel, self.noise_density)
        if self.pair_every and index % self.pair_every == 0:
            lengths = len(row["input_ids"]), len(row["labels"])
            row = comparison(self._window(rng), self._window(rng), rng, lengths)
        else:
            row["attention_mask"] = np.ones_like(row["input_ids"])
            row["matches"] = np.full_like(row["input_ids"], IGNORED)
        return {name: torch.from_numpy(ids) for name, ids in row.items()}

    def _window(self, rng: np.random.Generator) -> np.ndarray:
        array = self.arrays[rng.choice(len(self.arrays), p=self.probabilities)]
        start = rng.integers(len(array) - self.window)
        return array[start : start + self.window].astype(np.int64)


def co_occurrence_embedding(arrays: list[np.ndarray], vocab_size: int, dim: int, reach: int = 5) -> torch.Tensor:
    """Token vectors from what stands near what: the first `dim` singular vectors of the positive PMI matrix.

    (Levy and Goldberg 2014; contexts smoothed by the power 0.75.) A start from them instead of N(0, 1) saves a small
    model the many steps in which span corruption would find out which words are alike. Scaled to T5's standard
    deviation of 1; tokens that never occur keep N(0, 1).
    """
    counts = np.zeros(vocab_size * vocab_size, dtype=np.float32)
    for array in arrays:
        for start in range(0, len(array), 8_000_000):
            ids = array[start : start + 8_000_000].astype(np.int64)
            for distance in range(1, reach + 1):
                pairs = ids[:-distance] * vocab_size + ids[distance:]
                counts += np.bincount(pairs, minlength=vocab_size * vocab_size).astype(np.float32) / distance
    matrix = counts.reshape(vocab_size, vocab_size)
    matrix = matrix + matrix.T
    rows = matrix.sum(1, keepdims=True)
    contexts = rows.T**0.75 / (rows**0.75).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        pmi = np.log(matrix / rows / contexts)
    pmi[~(pmi > 0)] = 0  # also what is not a number, where nothing was counted
    left, values, _ = randomized_svd(pmi, n_components=dim, n_iter=3, random_state=0)
    vectors = torch.from_numpy(left * np.sqrt(values)).float()
    seen = torch.from_numpy(rows[:, 0] > 0)
    vectors[seen] -= vectors[seen].mean(0)  # what all tokens share says nothing about any
    vectors[seen] /= vectors[seen].std()
    return torch.where(seen[:, None], vectors, torch.randn(vocab_size, dim))


def start_attention(model: T5ForConditionalGeneration) -> None:
    """Start attention near what it has to learn: to look at neighbours, and to find the same sentinel again.

    T5 draws position biases near 0 and steps in proportion to their size, so thousands of steps pass before any head
    tells near from far, and until then the encoder sees a bag of words. Here the encoder's heads start, in turn, as: a
    token and what comes before it, after it, around it with a wider reach, and everything alike. The decoder's
    cross-attention starts with queries like its keys, of T5's own size: a sentinel then finds itself in the text
    (arXiv 2305.09828 has the idea).
    """
    attention = model.encoder.block[0].layer[0].SelfAttention
    buckets, reach = attention.relative_attention_num_buckets, attention.relative_attention_max_distance
    offsets = torch.arange(-2 * reach, 2 * reach + 1)  # position of the key minus that of the query
    bucket_of = attention._relative_position_bucket(offsets, True, buckets, reach)
    for bucket in bucket_of.unique():
        offset = offsets[bucket_of == bucket].float().mean()
        fall, side = torch.log1p(offset.abs()), torch.sign(offset)
        kinds = torch.stack([4 - 2 * fall - side, 4 - 2 * fall + side, 2 - fall, torch.tensor(0.0)])
        heads = torch.arange(attention.n_heads)
        attention.relative_attention_bias.weight.data[bucket] = kinds[heads % len(kinds)]
    for block in model.decoder.block:
        cross = block.layer[1].EncDecAttention
        cross.q.weight.data.copy_(cross.k.weight / cross.key_value_proj_dim**0.5)


def start_matching(model: T5ForConditionalGeneration) -> None:
    """Let every fourth head between the first layer and the last start anew: at the same token elsewhere.

    Without it the comparisons of pairs are not learned within hundreds of steps.
    """
    biases = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.data
    biases[:, 3::4] = 0.0
    biases[0, 3::4] = -6.0  # against a token's likeness to itself: 8 on average
    for block in list(model.encoder.block)[1:-1]:
        own = block.layer[0].SelfAttention
        rows = torch.arange(own.inner_dim).view(own.n_heads, -1)[3::4].flatten()
        own.q.weight.data[rows] = own.k.weight.data[rows] / own.key_value_proj_dim**0.5


def _name(value: Any) -> Any:
    if isinstance(value, list):
        return [_name(item) for item in value]
    return value.name if isinstance(value, Path) else value


def card(summary: dict, parameters: int, embedding: int) -> str:
    """The checkpoint's README.md: what it is, how it was trained, how weak it is."""
    arguments = summary["arguments"]
    files = "\n".join(f"- {name}" for name in arguments["files"])
    first, then = (summary["base"], summary) if summary["base"] else (summary, None)
    comparing = f""", then {then["arguments"]["steps"]} steps in
which a quarter of the rows compare a text with an edited copy and tell which tokens stand in the other""" if then else ""  # fmt: skip
    return f"""---
library_name: transformers
license: apache-2.0
language: en
tags: [t5, span-corruption]
---

# A tiny T5 for {"pairs of texts" if then else "demos and tests"}

A T5 of the v1.1 kind (gated-gelu, no dropout in pre-training), {parameters / 1e6:.2f}M parameters,
{embedding / 1e6:.2f}M of them in the embedding (tied): {arguments["num_layers"]} encoder layers and one decoder layer of width
{arguments["d_model"]}, a unigram vocabulary of {arguments["vocab_size"]} with T5's 100 sentinels. Weights are stored in
bfloat16.

**It is weak.** It has read {summary["tokens_seen"] / 1e6:.1f}M tokens, most of them from old books; T5 read a trillion. It knows English
words and little of the world. It lets enct5 be tried without a download; for real work use a real T5.

## Training

Token vectors from a co-occurrence matrix of the corpus (positive PMI, singular value decomposition), heads that start
by looking at neighbours, then {first["arguments"]["steps"]} steps of Adafactor by `scripts/pretrain_t5.py`, each with {arguments["batch_size"]} windows of
{arguments["window"]} tokens for span corruption ({arguments["noise_density"]:.0%} of the tokens, spans of 3 on average){comparing}.
Files are drawn by (tokens ** {arguments["alpha"]}). Loss of span corruption on held-out paragraphs:
{summary["held_out_loss"]["spans"]:.3f} nats a target token. Details: pretraining.json.

{files}

books: public-domain books (Standard Ebooks, Project Gutenberg). masc: MASC, American National Corpus. speeches: US
inaugural and State of the Union addresses, public domain. web: social-media posts of the WNUT-17 shared task, CC BY 4.0
(Derczynski, Nichols, van Erp, Limsopatham 2017). reviews_products: CC BY 4.0 (Hu and Liu 2004; Ding, Liu and Yu 2008).
Old books and social media carry dated and offensive views; so may the model.
"""


def main() -> None:
    """Parse the command line, train, save the T5 checkpoint and its record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="text files, one paragraph a line (.txt or .txt.xz)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint (and, inside, the run)")
    parser.add_argument("--base", type=Path, help="T5 of a former run: go on from it, and compare pairs, too")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch-size", type=int, default=32, help="windows a step")
    parser.add_argument("--window", type=int, default=128, help="tokens of text a window")
    parser.add_argument("--lr", type=float, default=1e-2, help="Adafactor's rate, relative to a parameter's size")
    parser.add_argument("--alpha", type=float, default=0.5, help="files are drawn by (size ** alpha)")
    parser.add_argument("--noise-density", type=float, default=0.25, help="share of the tokens in dropped spans")
    parser.add_argument("--vocab-size", type=int, default=8192, help="with the 100 sentinels")
    parser.add_argument("--d-model", type=int, default=256)
    parser.add_argument("--d-ff", type=int, default=512)
    parser.add_argument("--num-heads", type=int, default=4)
    parser.add_argument("--num-layers", type=int, default=4, help="encoder layers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="torch.compile the model (1.6x on a CPU with AMX)")
    parser.add_argument("--no-bf16", action="store_true", help="train in float32 throughout")
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint in --out")
    args = parser.parse_args()
    set_seed(args.seed)
    processes = int(os.environ.get("WORLD_SIZE", "1"))

    work = args.out / "training"
    if args.base:
        T5Tokenizer.from_pretrained(args.base).save_pretrained(args.out)
    tokenizer = train_tokenizer(args.files, args.out, args.vocab_size)
    splits = encode_corpus(args.files, tokenizer, work / "tokens")
    print("tokens:", {name: sum(map(len, arrays)) for name, arrays in splits.items()}, flush=True)

    def examples(split: str, size: int, seed: int, pair_every: int | None) -> Examples:
        first_sentinel = tokenizer.convert_tokens_to_ids("<extra_id_0>")
        return Examples(
            splits[split], size, args.window, args.alpha, first_sentinel, args.noise_density, seed, pair_every
        )

    train = examples("train", args.steps * args.batch_size, args.seed, PAIR_EVERY if args.base else None)
    held_out = {
        "spans": examples("held_out", EVAL_ROWS, 1, None),
        "pairs": examples("held_out", EVAL_ROWS, 1, 1),
    }

    dropout_rate = 0.0  # a few epochs of pre-training at most: nothing to regularise
    if args.base:
        model = ComparingT5.from_pretrained(args.base, dtype=torch.float32, dropout_rate=dropout_rate)
        start_matching(model)
    else:
        model = ComparingT5(
            T5Config(
                vocab_size=args.vocab_size,
                d_model=args.d_model,
                d_kv=args.d_model // args.num_heads,
                d_ff=args.d_ff,
                num_heads=args.num_heads,
                num_layers=args.num_layers,
                num_decoder_layers=1,
                feed_forward_proj="gated-gelu",
                dropout_rate=dropout_rate,
                decoder_start_token_id=0,
            )
        )
        with torch.no_grad():
            model.shared.weight.copy_(co_occurrence_embedding(splits["train"], args.vocab_size, args.d_model))
            start_attention(model)
    print("parameters:", model.num_parameters(), "beside the embedding:", model.num_parameters(exclude_embeddings=True))
    # Steps in proportion to a parameter's size, as T5 was trained: its attention has no scaling by sqrt(d_kv), so its
    # small query matrices must not grow as fast as the others, or attention saturates.
    optimizer = torch.optim.Adafactor(model.parameters(), lr=args.lr, weight_decay=0.0)

    def schedule(step: int) -> float:
        warm_up, decay = min(1.0, (step + 1) / 50), min(1.0, (args.steps - step) / (0.4 * args.steps))
        return warm_up * max(decay, 0.0)

    trainer = Trainer(
        model,
        TrainingArguments(
            output_dir=str(work),
            max_steps=args.steps,
            per_device_train_batch_size=args.batch_size // processes,
            per_device_eval_batch_size=args.batch_size // processes,
            ddp_find_unused_parameters=False,
            train_sampling_strategy="sequential",
            bf16=not args.no_bf16,
            use_cpu=not torch.cuda.is_available(),  # bf16 is refused otherwise
            max_grad_norm=1.0,
            torch_compile=args.compile,
            logging_steps=50,
            eval_strategy="steps",
            eval_steps=500,
            save_steps=500,
            save_total_limit=1,
            seed=args.seed,
            report_to=[],
            remove_unused_columns=False,
            disable_tqdm=True,
        ),
        train_dataset=train,
        eval_dataset=held_out,
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)),
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(work)) if args.resume else None)
    record = trainer.evaluate()
    if not trainer.is_world_process_zero():
        return
    plain = model.plain()
    plain.config.dropout_rate, plain.config.use_cache = 0.1, True
    plain.to(torch.bfloat16).save_pretrained(args.out)
    losses = {kind: f"eval_{kind}_loss" for kind in held_out}
    curve: dict[int, dict[str, float]] = {}
    for entry in trainer.state.log_history:
        curve.setdefault(entry["step"], {}).update({kind: entry[key] for kind, key in losses.items() if key in entry})
    pairs = args.steps * args.batch_size // PAIR_EVERY if args.base else 0
    base = json.loads((args.base / "pretraining.json").read_text(encoding="utf-8")) if args.base else None
    summary = {
        "arguments": {key: _name(value) for key, value in vars(args).items()},
        "train_tokens_in_corpus": int(sum(map(len, splits["train"]))),
        "tokens_seen": (args.steps * args.batch_size - pairs) * args.window + (base["tokens_seen"] if base else 0),
        "pairs_seen": pairs,
        "held_out_loss": {kind: record[key] for kind, key in losses.items()},
        "curve": [{"step": step, **found} for step, found in curve.items() if found],
        "base": base,
    }
    (args.out / "pretraining.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    text = card(summary, plain.num_parameters(), plain.shared.weight.numel())
    (args.out / "README.md").write_text(text, encoding="utf-8")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
