"""Two processes on one machine train the model that one process trains. This file is also what they run."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from enct5 import training
from enct5.errors import EncT5Error
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification
from enct5.training import run as training_run
from enct5.training.config import TrainConfig
from enct5.training.distributed import gather_model, on_main_process, process_state
from enct5.training.optimizer import relative_adamw

pytestmark = pytest.mark.usefixtures("one_thread")

TOPICS = {"delivery": "parcel late road", "drink": "coffee milk cup", "refund": "money card bank"}
SETTINGS = {"text": ("text",), "epochs": 3, "batch_size": 8, "learning_rate": 3e-3}


def write_data(folder: Path) -> None:
    """Texts of very different lengths, with a label each and with tags, of which some texts have none."""
    rows = []
    for number in range(45):
        label, words = list(TOPICS.items())[number % 3]
        text = [*words.split(), *["the", "my", "where"] * (number % 7)]
        tags = ["B-thing" if word in words and number % 4 else "O" for word in text]
        rows.append({"text": " ".join(text), "label": label, "words": text, "tags": tags})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def train(folder: Path, out: str, resume: bool = False, **options: Any) -> None:
    settings: dict[str, Any] = {**SETTINGS, "label": "label", **options}
    config = TrainConfig.checked(
        data=str(folder / "rows.jsonl"), base=str(folder / "t5"), out=str(folder / out), **settings
    )
    training.train(config, resume=resume)


TAGS = {"text": ("words",), "label": "tags"}


def sharded() -> tuple[EncT5ForSequenceClassification, dict[str, torch.Tensor]]:
    """A model, in odd shapes, that the processes share among them, and its tensors before."""
    torch.manual_seed(0)
    model = EncT5ForSequenceClassification(
        EncT5Config(vocab_size=51, d_model=33, d_kv=7, d_ff=45, num_layers=2, num_heads=3, num_labels=3)
    )
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return fully_shard(model, mesh=init_device_mesh("cpu", (process_state().num_processes,))), before


def of_two_processes(folder: Path) -> None:
    """What each of the two processes does."""
    train(folder, "tags of two", **TAGS)
    train(folder, "resumed by two", resume=True)
    found: dict[str, Any] = {"decided": on_main_process(lambda: process_state().process_index)}

    def refuse() -> None:
        raise EncT5Error(f"process {process_state().process_index} refuses")

    try:
        on_main_process(refuse)
    except EncT5Error as error:
        found["refused"] = str(error)
    model, before = sharded()
    found["rates"] = [group["lr"] for group in relative_adamw(model, 0.01, 0.0).param_groups]
    whole = gather_model(model)
    if process_state().is_main_process:
        save_file(before, folder / "before.safetensors")
        save_file(whole.state_dict(), folder / "whole.safetensors")
    (folder / f"found {process_state().process_index}.json").write_text(json.dumps(found))


def launch(*command: str) -> subprocess.CompletedProcess[str]:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*launcher, *command], capture_output=True, text=True, check=False, env=environment, timeout=300
    )


@pytest.fixture(scope="module")
def folder(t5_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """One process's runs, and one that is interrupted and continued by two."""
    from helpers.runs import heard  # not where this file is run by two

    place = tmp_path_factory.mktemp("processes")
    (place / "t5").symlink_to(t5_folder(dropout_rate=0.0))
    write_data(place)
    train(place, "one")
    train(place, "tags of one", **TAGS)
    evaluations = itertools.count(1)

    def interrupt(line: str) -> None:
        if line.startswith("epoch ") and next(evaluations) == 6:
            raise InterruptedError

    with pytest.raises(InterruptedError), heard(interrupt):
        train(place, "resumed by two")
    return place


@pytest.fixture(scope="module")
def pair(folder: Path) -> Path:
    done = launch(__file__, str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def assert_alike(first: Path, second: Path) -> None:
    """Weights that differ by rounding only: the same gradients, added up in another order."""
    tensors, others = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, others[name], rtol=1e-3, atol=2e-5, msg=lambda text, name=name: name + text)


@pytest.mark.slow
def test_two_processes_train_the_model_of_one_and_one_of_them_talks(folder: Path) -> None:
    command = ["-m", "enct5.cli", "train", str(folder / "rows.jsonl"), "--text", "text", "--label", "label"]
    options = ["--base", str(folder / "t5"), "--epochs", "3", "--batch-size", "8", "--learning-rate", "3e-3"]
    done = launch(*command, *options, "--out", str(folder / "two"))
    assert done.returncode == 0, done.stderr
    assert_alike(folder / "one", folder / "two")
    assert {path.name for path in (folder / "two").iterdir()} == {path.name for path in (folder / "one").iterdir()}
    assert sum(line.startswith("task: ") for line in done.stdout.splitlines()) == 1
    assert "2 processes" in done.stdout
    assert sum(line.startswith("model: ") for line in done.stdout.splitlines()) == 1
    again = launch(*command, *options, "--out", str(folder / "two"))
    assert again.returncode != 0
    assert sum(line.startswith("enct5: ") for line in again.stderr.splitlines()) == 1
    assert "exists and is not empty" in again.stderr


@pytest.mark.slow
def test_a_tag_weighs_the_same_in_each_process(pair: Path) -> None:
    assert_alike(pair / "tags of one", pair / "tags of two")


@pytest.mark.slow
def test_two_processes_continue_the_run_of_one(pair: Path) -> None:
    assert_alike(pair / "one", pair / "resumed by two")


@pytest.mark.slow
def test_what_one_process_decides_all_know(pair: Path) -> None:
    for process in range(2):
        found = json.loads((pair / f"found {process}.json").read_text())
        assert (found["decided"], found["refused"]) == (0, "process 0 refuses")


@pytest.mark.slow
def test_steps_of_a_sharded_model_are_relative_to_whole_tensors(pair: Path) -> None:
    torch.manual_seed(0)
    model = EncT5ForSequenceClassification(
        EncT5Config(vocab_size=51, d_model=33, d_kv=7, d_ff=45, num_layers=2, num_heads=3, num_labels=3)
    )
    rates = [group["lr"] for group in relative_adamw(model, 0.01, 0.0).param_groups]
    for process in range(2):
        assert json.loads((pair / f"found {process}.json").read_text())["rates"] == pytest.approx(rates, rel=1e-5)


@pytest.mark.slow
def test_a_sharded_model_is_gathered(pair: Path) -> None:
    before, whole = load_file(pair / "before.safetensors"), load_file(pair / "whole.safetensors")
    assert before.keys() == whole.keys()
    assert all(torch.equal(tensor, whole[name]) for name, tensor in before.items())


def test_one_process_decides_for_itself() -> None:
    def refuse() -> None:
        raise EncT5Error("no")

    assert on_main_process(lambda: 3) == 3
    with pytest.raises(EncT5Error, match="no"):
        on_main_process(refuse)


@pytest.mark.parametrize(
    ("processes", "rows", "problem"),
    [(3, 60, "--batch-size 8 is no multiple of the 3 processes"), (4, 3, "3 texts are too few for 4 processes")],
)
def test_batches_that_processes_cannot_share_are_refused(processes: int, rows: int, problem: str) -> None:
    config = TrainConfig.checked(data="unused", out="unused", label="label", **SETTINGS)
    prepared: Any = SimpleNamespace(train=range(rows), train_texts=rows)
    with pytest.raises(EncT5Error, match=problem):
        training_run._check_processes(config, prepared, processes)


if __name__ == "__main__":
    of_two_processes(Path(sys.argv[1]))
    process_state().destroy_process_group()
