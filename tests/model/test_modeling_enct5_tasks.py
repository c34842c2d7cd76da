"""Several tasks on one encoder: each is as if it were alone, to the last bit, whatever the others are."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from enct5 import EncT5Config, EncT5ForTasks
from enct5.model.modeling_enct5_tasks import has_label
from helpers.models import SINGLE, SMALL, random_model
from helpers.several_tasks import KINDS, models_of, random_tasks
from helpers.without_enct5 import HIDE

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = tuple(KINDS)
NAN = float("nan")
some = settings(max_examples=15, deadline=None, derandomize=True)


def batch(lengths: tuple[int, ...] = (9, 5, 1), width: int = 0) -> torch.Tensor:
    """Random token ids, padded on the right."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1, SMALL["vocab_size"], (len(lengths), max(*lengths, width)), generator=generator)
    for row, length in zip(ids, lengths, strict=True):
        row[length:] = 0
    return ids


def labels_of_all(ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Labels of three texts, of which each task lacks some."""
    tags = torch.where(ids == 0, -100, ids % 3)
    tags[1] = -100
    return {
        "intent": torch.tensor([2, -100, 0]),
        "type": torch.tensor([[NAN] * 4, [1.0, 0, 0, 1], [0.0, 0, 1, 0]]),
        "urgency": torch.tensor([[0.5, -1], [NAN, NAN], [2.0, 3]]),
        "entities": tags,
        "own-tokens": tags.flip(0).where(ids != 0, -100),
    }


@torch.no_grad()
def test_one_pass_gives_what_the_model_of_each_task_alone_gives() -> None:
    models, ids = models_of(), batch()
    alone = {name: model(ids).logits for name, model in models.items()}
    several = EncT5ForTasks.from_models(models).eval()
    together = several(ids).logits
    assert list(together) == list(NAMES)
    for name in NAMES:
        assert torch.equal(together[name], alone[name]), name
        taken = several.task_model(name)
        assert torch.equal(taken(ids).logits, alone[name])
        assert type(taken) is type(models[name])
        assert taken.config.problem_type == KINDS[name]["problem_type"]


@some
@given(names=st.permutations(NAMES), count=st.integers(1, len(NAMES)))
@torch.no_grad()
def test_other_tasks_and_their_order_change_no_bit(names: list[str], count: int) -> None:
    ids = batch()
    all_of_them, some_of_them = random_tasks()(ids).logits, random_tasks(names[:count])(ids).logits
    assert list(some_of_them) == names[:count]
    for name, logits in some_of_them.items():
        assert torch.equal(logits, all_of_them[name]), name


@some
@given(lengths=st.lists(st.integers(1, 24), min_size=2, max_size=5), extra=st.integers(0, 9), data=st.data())
@torch.no_grad()
def test_padding_and_order_change_no_logits(lengths: list[int], extra: int, data: st.DataObject) -> None:
    model = random_tasks(encoder_window=8)
    ids = batch(tuple(lengths), max(lengths) + extra)
    order = data.draw(st.permutations(range(len(lengths))))
    together = model(ids[list(order)]).logits
    for place, row in enumerate(order):
        alone = model(ids[row : row + 1, : lengths[row]]).logits
        for name in NAMES:
            own = together[name][place]
            own = own[: lengths[row]] if name in ("entities", "own-tokens") else own
            torch.testing.assert_close(own, alone[name][0], atol=2e-5, rtol=0, msg=name)


@torch.no_grad()
def test_prompts_read_all_windows_of_a_long_text_and_tags_are_of_all_its_tokens() -> None:
    model, ids = random_tasks(encoder_window=8), batch((30,))
    before, changed = model(ids).logits, ids.clone()
    changed[0, 29] = 1 + ids[0, 29] % 50
    after = model(changed).logits
    for name in ("intent", "type", "urgency"):
        assert not torch.equal(before[name], after[name]), name
    assert before["entities"].shape == (1, 30, 3)
    assert torch.equal(before["entities"][0, :24], after["entities"][0, :24])  # windows know nothing of each other
    assert not torch.equal(before["entities"][0, 24:], after["entities"][0, 24:])


def test_a_task_counts_the_texts_that_have_a_label_for_it() -> None:
    model, ids = random_tasks(), batch()
    labels = labels_of_all(ids)
    out = model(ids, labels=labels)
    logits, tags = out.logits, labels["entities"]
    wanted = {
        "intent": functional.cross_entropy(logits["intent"][[0, 2]], torch.tensor([2, 0])),
        "type": functional.binary_cross_entropy_with_logits(logits["type"][1:], labels["type"][1:]),
        "urgency": (logits["urgency"][[0, 2]] - labels["urgency"][[0, 2]]).square().mean(),
        "entities": functional.cross_entropy(logits["entities"][tags != -100], tags[tags != -100]),
    }
    for name, value in wanted.items():
        torch.testing.assert_close(out.losses[name], value, msg=name)
    torch.testing.assert_close(out.loss, sum(out.losses.values()))


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_of_a_task_is_that_of_its_model_alone(name: str) -> None:
    ids = batch()
    labels = labels_of_all(ids)
    together = random_tasks()(ids, labels=labels)
    several = random_tasks()
    alone = several(ids, labels={name: labels[name]})
    assert torch.equal(alone.loss, together.losses[name])
    assert list(alone.losses) == [name]
    if KINDS[name]["problem_type"] != "token_classification":
        kept = has_label(labels[name])
        one = several.task_model(name)(ids[kept], labels=labels[name][kept]).loss
        torch.testing.assert_close(one, together.losses[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_any_label_of_a_task_adds_nothing(name: str) -> None:
    model, ids = random_tasks(), batch()
    labels = labels_of_all(ids)
    none = torch.full_like(labels[name], NAN if labels[name].is_floating_point() else -100)
    model(ids, labels={name: none}).loss.backward()
    for parameter in model.task_model(name).parameters():
        assert parameter.grad is None or not parameter.grad.any()
    head = model.tasks[name].classifier
    assert head.weight.grad is not None  # several processes wait for every parameter's
    assert head.bias.grad is not None
    with_it, without = model(ids, labels={**labels, name: none}), dict(labels)
    del without[name]
    assert with_it.losses[name] == 0
    assert torch.equal(with_it.loss, model(ids, labels=without).loss)


def test_losses_have_weights() -> None:
    models, ids = models_of(("intent", "urgency")), batch()
    labels = {name: labels_of_all(ids)[name] for name in models}
    model = EncT5ForTasks.from_models(models, {"urgency": {"loss_weight": 0.25}}).eval()
    out = model(ids, labels=labels)
    torch.testing.assert_close(out.loss, out.losses["intent"] + 0.25 * out.losses["urgency"])


def test_weights_and_order_of_the_tasks_are_kept(tmp_path: Path) -> None:
    names = ("urgency", "intent", "own-tokens", "entities", "type")
    model = EncT5ForTasks.from_models(models_of(names), {"type": {"loss_weight": 0.5}}).eval()
    model.save_pretrained(tmp_path)
    again, ids = EncT5ForTasks.from_pretrained(tmp_path), batch()
    assert again.config.task_names == list(names)
    assert again.config.task_values("type")["loss_weight"] == 0.5
    assert again.config.of_task("intent").id2label == {0: "a", 1: "b", 2: "c"}
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    with torch.no_grad():
        before, after = model(ids).logits, again(ids).logits
    assert list(after) == list(names)
    assert all(torch.equal(before[name], after[name]) for name in names)


def test_a_saved_model_loads_where_enct5_is_not_installed(tmp_path: Path) -> None:
    model, ids = random_tasks(encoder_window=4), batch()
    model.save_pretrained(tmp_path / "saved")
    code = f"""{HIDE}
import json, torch
from transformers import AutoModel
model = AutoModel.from_pretrained({str(tmp_path / "saved")!r}, trust_remote_code=True)
with torch.no_grad():
    logits = model(torch.tensor({ids.tolist()})).logits
model.save_pretrained({str(tmp_path / "again")!r})
print("\\n" + json.dumps({{"class": type(model).__name__, "logits": {{k: v.tolist() for k, v in logits.items()}}}}))
"""
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hub"), "PYTHONPATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["class"] == "EncT5ForTasks"
    assert list(found["logits"]) == list(NAMES)
    again = EncT5ForTasks.from_pretrained(tmp_path / "again")
    with torch.no_grad():
        wanted, saved_there = model(ids).logits, again(ids).logits
    for name, logits in found["logits"].items():
        torch.testing.assert_close(torch.tensor(logits), wanted[name], atol=1e-6, rtol=0)
        assert torch.equal(saved_there[name], wanted[name])


def test_a_task_that_was_never_trained_is_told() -> None:
    models = models_of(("intent", "type"))
    torch.nn.init.zeros_(models["type"].classifier.bias)
    model = EncT5ForTasks.from_models(models)
    assert model.untrained_tasks() == ["type"]
    assert not model.is_fine_tuned()
    assert random_tasks().is_fine_tuned()


def test_encoders_that_differ_are_refused() -> None:
    models = {"one": random_model(num_labels=2), "two": copy.deepcopy(random_model(num_labels=2))}
    assert EncT5ForTasks.from_models(models).config.task_names == ["one", "two"]  # equal, though not the same
    with torch.no_grad():
        models["two"].transformer.encoder.final_layer_norm.weight[3] += 1e-3
    with pytest.raises(ValueError, match=r"encoder of 'two' is not that of 'one' \(final_layer_norm.weight differs\)"):
        EncT5ForTasks.from_models(models)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a/b", "a:b", "aaa\n", "<b>"])
def test_names_that_no_tensor_can_have_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names of tasks are letters, digits, `_` and `-`"):
        EncT5ForTasks.from_models({name: random_model(num_labels=2)})


def test_what_no_model_of_several_tasks_can_be_is_refused() -> None:
    with pytest.raises(ValueError, match="`tasks` is not set"):
        EncT5ForTasks(EncT5Config(**SMALL, num_labels=2))
    entry = {"name": "a", "problem_type": SINGLE, "id2label": {0: "x"}}
    with pytest.raises(ValueError, match="two tasks are called 'a'"):
        EncT5Config(**SMALL, tasks=[entry, entry])
    with pytest.raises(ValueError, match="`colour`, which is no key of a task"):
        EncT5Config(**SMALL, tasks=[{**entry, "colour": "red"}])
    model, ids = random_tasks(), batch()
    with pytest.raises(ValueError, match="no task 'mood'; its tasks: intent, type"):
        model.task_model("mood")
    with pytest.raises(ValueError, match="labels are given for 'mood', but the tasks are intent, type"):
        model(ids, labels={"mood": torch.tensor([0, 1, 2])})
    with pytest.raises(ValueError, match="int64 labels of shape"):
        model(ids, labels={"intent": torch.tensor([0.5, 1, 2])})
