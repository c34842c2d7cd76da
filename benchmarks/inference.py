"""Speed and memory of prediction on this CPU, against the loop that a user of transformers would write, and the limit.

    python benchmarks/inference.py               (writes results/inference.jsonl and .md)

- loop: transformers' T5 encoder and one layer of its decoder, eager attention, attention mask, batches of 64 in file
  order, padded; loop, sdpa: with torch's fused attention.
- loop, sorted: the same in batches of like length under a budget of tokens, as all of ours have them.
- plain: `EncT5ForSequenceClassification`; folded: `FoldedEncT5`, `Predictor`'s default, and in bfloat16; onnx: `enct5
  export`, and int8; onnx, plain: the graph of the model as it is.
- decoder alone: what is left when the encoder's states are there, in the loop and folded; encoder alone likewise.
- limit: the encoder's matrix products alone, on the same tokens without padding.
- t5 classifier: transformers' `T5ForSequenceClassification`; t5 generates: two tokens by `generate`; bert: `BertModel`
  of the same width, depth and vocabulary with a linear head; all in batches of 64 in file order, padded.

All run under `inference_mode`, from token ids to logits, in turn, with random weights (the same ones in all forms of
EncT5, whose float32 logits have to agree to 1e-4). A ratio is the other's time over the system's: the median over the
repetitions, with the least and the greatest. Memory is the peak of a process of its own, above what it held before the
first text.
"""

import copy
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    T5Config,
    T5ForConditionalGeneration,
    T5ForSequenceClassification,
    T5Model,
)

from enct5 import EncT5Config, EncT5ForSequenceClassification
from enct5.assets import bundled_t5
from enct5.data.reading import read_table
from enct5.export.onnx import in_memory
from enct5.export.onnx_session import OnnxEncT5
from enct5.folding.model import FoldedEncT5, runs_of
from enct5.inference.engine import Form
from enct5.inference.forms import FoldedForm, PlainForm
from enct5.inference.runner import MAX_BATCH_PROMPTS
from enct5.tokenization.batches import MAX_BATCH_TOKENS, length_ordered_batches, pad
from limit import MatrixProducts
from records import RESULTS, markdown_table, records_asked_for, times_as_fast, write_table
from sets import CLASSIFICATION, MOVIE_REVIEWS, test_file

SIZES = {
    "t5-small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "t5-base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
}
VOCABULARY, BATCH, REQUESTS = 32128, 64, 100
FILE = RESULTS / "inference.jsonl"

Rows = list[np.ndarray]
System = Callable[[Rows], torch.Tensor | None]

OURS = ("plain", "folded", "folded bfloat16", "onnx", "onnx int8")
EXACT = ("loop, sorted", "loop, sdpa", "plain", "folded", "onnx", "onnx, plain")
PARTS = ("loop, decoder alone", "folded, decoder alone", "folded, encoder alone")
OTHERS = ("t5 classifier", "t5 generates", "bert", "bert, sorted")


class Work(NamedTuple):
    """How many texts of how many tokens (or of which set), the number of prompts, and what runs on them."""

    texts: int
    tokens: int | str
    systems: tuple[str, ...]
    sizes: tuple[str, ...] = tuple(SIZES)
    labels: int = 2
    prompts: int = 1
    repetitions: int = 5
    memory: tuple[str, ...] = ()


WHOLE = ("loop", "plain", "folded")
WORKS = {
    "sst2 sentences": Work(128, "sst2", ("loop", "loop, sorted", *OURS, "onnx, plain", "limit", *OTHERS)),
    "banking77 messages": Work(128, "banking77", ("loop", "loop, sorted", *OURS, "limit"), ("t5-small",), 77),
    "movie reviews": Work(8, "movie_reviews", ("loop", "loop, sorted", "plain", "folded", "limit"), ("t5-small",)),
    "texts of 512 tokens": Work(8, 512, ("loop", *OURS, "limit")),
    "single texts of 16 tokens": Work(1, 16, ("loop", *OURS, "onnx, plain"), repetitions=REQUESTS),
    "8 texts of 128 tokens": Work(8, 128, (*WHOLE, *PARTS), ("t5-base",), repetitions=10),
    "28 labels": Work(2, 512, (*WHOLE, *PARTS), ("t5-base",), 28, 28),
    "500 labels": Work(2, 512, (*WHOLE, *PARTS), ("t5-base",), 500, 500),
    "4271 labels": Work(1, 512, (*WHOLE, *PARTS), ("t5-base",), 4271, 4271, 3, memory=WHOLE),
    "a text of 8192 tokens": Work(
        1, 8192, ("loop, sdpa", *WHOLE[1:]), ("t5-small",), repetitions=3, memory=("loop, sdpa", "folded")
    ),
}


# What is compared in the first table: a size, a work, a system, and those that it is measured against.
COMPARED = (
    ("t5-base", "sst2 sentences", "folded", ("limit", "loop", "loop, sorted", *OTHERS)),
    ("t5-base", "sst2 sentences", "folded bfloat16", ("loop",)),
    ("t5-base", "sst2 sentences", "onnx int8", ("loop",)),
    ("t5-base", "texts of 512 tokens", "folded", ("limit", "loop")),
    ("t5-base", "8 texts of 128 tokens", "folded, decoder alone", ("folded, encoder alone", "loop, decoder alone")),
    ("t5-base", "28 labels", "folded", ("loop",)),
    ("t5-base", "500 labels", "folded, decoder alone", ("loop, decoder alone",)),
    ("t5-base", "4271 labels", "folded", ("loop",)),
    *(
        (size, "single texts of 16 tokens", system, ("loop",))
        for size in ("t5-base", "t5-small")
        for system in ("folded", "onnx", "onnx int8")
    ),
    ("t5-small", "a text of 8192 tokens", "folded", ("loop, sdpa",)),
)


def token_ids(work: Work) -> Rows:
    """Token ids of every text, in file order."""
    if isinstance(work.tokens, str):
        benchmark = next(found for found in (*CLASSIFICATION, MOVIE_REVIEWS) if found.name == work.tokens)
        texts = read_table(test_file(benchmark))[benchmark.text[0]][: work.texts]
        return [np.array(ids) for ids in AutoTokenizer.from_pretrained(bundled_t5())(list(texts))["input_ids"]]
    rows = np.random.default_rng(0).integers(2, VOCABULARY, size=(work.texts, work.tokens))
    rows[:, -1] = 1  # T5's classifier reads the end token
    return list(rows)


def in_file_order(forward: Callable[[Rows], Any], rows: Rows) -> torch.Tensor:
    """Batches of 64 as they come."""
    return torch.cat([forward(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)])


def by_length(forward: Callable[[Rows], Any], prompts: int, rows: Rows) -> torch.Tensor:
    """The batches of `Predictor`."""
    batches = length_ordered_batches([len(row) for row in rows], MAX_BATCH_TOKENS, max(1, MAX_BATCH_PROMPTS // prompts))
    logits = torch.cat([torch.as_tensor(forward([rows[index] for index in batch])) for batch in batches])
    return logits[np.argsort(np.concatenate(batches))]


def padded(rows: Rows) -> dict[str, torch.Tensor]:
    """Ids and mask of a batch, as models of transformers take them."""
    return {name: torch.from_numpy(values) for name, values in pad(rows, 0).items()}


class Loop:
    """A model of transformers' own parts with the weights of an EncT5."""

    def __init__(self, model: EncT5ForSequenceClassification, attention: str = "eager") -> None:
        config = T5Config(**{name: getattr(model.config, name) for name in ("vocab_size", *SIZES["t5-base"])})
        config.num_decoder_layers, config._attn_implementation = 1, attention
        self.t5 = T5Model(config).eval()
        weights = model.transformer.state_dict()
        self.prompts = weights.pop("decoder.embed_tokens.weight")
        self.t5.load_state_dict(weights, strict=False)  # the decoder's embedding is not used
        self.head = model.classifier

    def __call__(self, rows: Rows, encoder_outputs: Any = None) -> torch.Tensor:
        """Logits of a padded batch; labels see each other, as a decoder without a causal mask has them."""
        count = len(self.prompts)
        prompts = self.prompts.expand(len(rows), count, -1)
        mask = torch.zeros(len(rows), 1, count, count)  # added to the scores: nothing is hidden
        states = self.t5(
            **padded(rows),
            decoder_inputs_embeds=prompts,
            decoder_attention_mask=mask,
            encoder_outputs=encoder_outputs,
            use_cache=False,
        ).last_hidden_state
        if count > 1:
            return (states * self.head.weight).sum(-1) + self.head.bias
        return functional.linear(states[:, 0], self.head.weight, self.head.bias)


def limit(model: EncT5ForSequenceClassification) -> System:
    """Nothing of use, in the least time that an encoder can take."""
    products = MatrixProducts(model.transformer.encoder, MAX_BATCH_TOKENS)

    def read(rows: Rows) -> torch.Tensor:
        products.read(sum(map(len, rows)))
        return torch.zeros(len(rows), 1)

    return read


def t5_classifier(settings: dict[str, Any]) -> Callable[[Rows], torch.Tensor]:
    """Transformers' own classifier: all decoder layers over a copy of the text."""
    model = T5ForSequenceClassification(
        T5Config(**settings, vocab_size=VOCABULARY, num_labels=2, decoder_start_token_id=0)
    ).eval()
    return lambda rows: model(**padded(rows)).logits


def t5_generates(settings: dict[str, Any]) -> Callable[[Rows], torch.Tensor]:
    """Two tokens, greedily: a label's word and the end."""
    model = T5ForConditionalGeneration(T5Config(**settings, vocab_size=VOCABULARY, decoder_start_token_id=0)).eval()
    return lambda rows: model.generate(**padded(rows), min_new_tokens=2, max_new_tokens=2, do_sample=False)


def bert(settings: dict[str, Any]) -> Callable[[Rows], torch.Tensor]:
    """BERT of the same width and depth."""
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=settings["d_model"],
        intermediate_size=settings["d_ff"],
        num_hidden_layers=settings["num_layers"],
        num_attention_heads=settings["num_heads"],
    )
    model, head = BertModel(config).eval(), torch.nn.Linear(config.hidden_size, 2)
    return lambda rows: head(model(**padded(rows)).pooler_output)


def enct5_model(size: str, work: Work) -> EncT5ForSequenceClassification:
    """Random weights of a size; label prompts without position bias, as models from T5 have them."""
    torch.manual_seed(0)
    kind = "multi_label_classification" if work.prompts > 1 else "single_label_classification"
    config = EncT5Config(**SIZES[size], vocab_size=VOCABULARY, num_labels=work.labels, problem_type=kind)
    return EncT5ForSequenceClassification(config).eval()


def engine(name: str, model: EncT5ForSequenceClassification) -> Form:
    """One of ours."""
    if name == "plain":
        return PlainForm(model)
    if name == "folded bfloat16":
        half: Any = copy.deepcopy(model)
        return FoldedForm(half.to(torch.bfloat16))
    return FoldedForm(model) if name == "folded" else in_memory(model, int8=name.endswith("int8"))


class LogitsAlone(torch.nn.Module):
    """A model for `torch.onnx.export`."""

    def __init__(self, model: EncT5ForSequenceClassification) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The logits."""
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def plain_graph(model: EncT5ForSequenceClassification) -> OnnxEncT5:
    """What `torch.onnx.export` makes of a model as it is."""
    ids, mask = torch.zeros(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    axes = {0: "batch", 1: "length"}
    shapes = {"input_ids": axes, "attention_mask": axes}
    program = torch.onnx.export(
        LogitsAlone(model),
        (ids, mask),
        dynamo=True,
        input_names=list(shapes),
        dynamic_shapes=shapes,
        verbose=False,
    )
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        program.save(Path(folder) / "model.onnx")
        return OnnxEncT5(Path(folder) / "model.onnx", model.config)


def part(name: str, model: EncT5ForSequenceClassification, rows: Rows) -> System:
    """Encoder or decoder of one batch, fed with what the other part gives it."""
    if name == "loop, decoder alone":
        loop = Loop(model)
        states = loop.t5.encoder(**padded(rows))
        return lambda rows: loop(rows, states)
    folded, runs = FoldedEncT5(model), runs_of([len(row) for row in rows])
    input_ids = torch.from_numpy(np.concatenate(rows))
    if name == "folded, encoder alone":
        return lambda rows: folded.encode(input_ids, runs)
    states = folded.encode(input_ids, runs)
    return lambda rows: folded.decode(input_ids, states, runs)


@torch.inference_mode()
def system(name: str, size: str, work: Work, model: EncT5ForSequenceClassification) -> System:
    """From all texts to their logits."""
    if name in PARTS:
        return part(name, model, token_ids(work))
    if name in OURS:
        return partial(by_length, engine(name, model), work.prompts)
    if name == "onnx, plain":
        return partial(by_length, plain_graph(model), work.prompts)
    if name == "limit":
        return partial(by_length, limit(model), work.prompts)
    if name in OTHERS:
        build = {"t5 classifier": t5_classifier, "t5 generates": t5_generates}.get(name, bert)
        forward = build(SIZES[size])
        return partial(by_length, forward, 1) if name.endswith("sorted") else partial(in_file_order, forward)
    loop = Loop(model, "sdpa" if name.endswith("sdpa") else "eager")
    return partial(by_length, loop, work.prompts) if name.endswith("sorted") else partial(in_file_order, loop)


def memory(name: str, size: str, work: Work) -> float:
    """MiB at the peak of a run above what the process held before it; in a process of its own."""

    def held(what: str) -> float:
        found = re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
        assert found is not None
        return int(found[1]) / 1024

    rows = token_ids(work)
    run_system = system(name, size, work, enct5_model(size, work))
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak is counted from here
    before = held("VmRSS")
    with torch.inference_mode():
        run_system(rows)
    return round(held("VmHWM") - before, 1)


@torch.inference_mode()
def run(key: dict[str, Any]) -> dict[str, Any]:
    """Seconds of every repetition, by system, and memory."""
    work, size = WORKS[key["work"]], key["size"]
    rows, model = token_ids(work), enct5_model(size, work)
    ways = {name: system(name, size, work, model) for name in work.systems}
    wanted = ways[work.systems[0]](rows)  # warms it up, too
    assert wanted is not None
    difference = 0.0
    for name, way in ways.items():
        logits = way(rows)
        if name in EXACT and logits is not None:
            difference = max(difference, float((logits - wanted).abs().max()))
    assert difference < 1e-4, f"the logits differ by {difference}"
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(work.repetitions):
        for name, way in ways.items():
            started = time.perf_counter()
            way(rows)
            seconds[name].append(round(time.perf_counter() - started, 5))
    del ways, model
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        peaks = {name: pool.submit(memory, name, size, work).result() for name in work.memory}
    return {"seconds": seconds, "memory": peaks, "difference": difference, "tokens": sum(len(row) for row in rows)}


def comparisons(records: list[dict[str, Any]]) -> list[list[str]]:
    """The lines of the first table."""
    cells = []
    for size, work, name, others in COMPARED:
        for record in records:
            if (record["size"], record["work"]) == (size, work):
                peaks = record["memory"]
                for other in others:
                    share = f"{peaks[name] / peaks[other]:.2f}" if {name, other} <= peaks.keys() else ""
                    cells.append([size, work, name, other, times_as_fast(record, name, other), share])
    return cells


def lines(record: dict[str, Any]) -> list[list[str]]:
    """A record's lines of the second table."""
    loop = next(iter(record["seconds"]))
    cells = []
    for name, times in record["seconds"].items():
        ratio = "" if name == loop or name in PARTS else times_as_fast(record, name, loop)
        p99 = f"{np.percentile(times, 99):.4f}" if len(times) >= REQUESTS else ""
        peak = f"{record['memory'][name]:,.0f} MiB" if name in record["memory"] else ""
        cells.append([record["size"], record["work"], name, f"{median(times):.4f}", p99, ratio, peak])
    return cells


def main() -> None:
    """Run what is missing and write the table."""
    keys = [{"size": size, "work": name} for name, work in WORKS.items() for size in work.sizes]
    records = records_asked_for(__doc__, FILE, keys, run)
    rows = [line for key in keys for record in records if key.items() <= record.items() for line in lines(record)]
    whole = markdown_table(["size", "work", "system", "seconds", "p99", "times as fast as the loop", "memory"], rows)
    head = ["size", "work", "system", "against", "times as fast", "memory, as a share"]
    table = f"{markdown_table(head, comparisons(records))}\n\n{whole}"
    differences = [record["difference"] for record in records]
    note = f"Greatest difference of float32 logits: {max(differences, default=0):.0e}. One thread."
    write_table(FILE, __doc__, records, table, note)


if __name__ == "__main__":
    main()
