"""Models of several tasks, as they are, folded and exported: each task is what its own predictor gives."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from enct5 import Predictor
from enct5.errors import EncT5Error
from enct5.export import onnx
from enct5.inference.inspection import inspect
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from helpers.several_tasks import KINDS, arrays_of, random_tasks, saved_tasks
from helpers.texts import sentences

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
TEXTS = ["", "a", *sentences(8, longest=30), "where is my card " * 40]  # the last is cut


@pytest.fixture(scope="module", params=[None, 16], ids=["whole", "windows"])
def folder(request: pytest.FixtureRequest, t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_tasks(t5_folder(), tmp_path_factory.mktemp("tasks"), encoder_window=request.param)


def test_all_forms_give_the_same_and_that_of_each_task_alone(folder: Path) -> None:
    folded, plain = Predictor.from_pretrained(folder), Predictor.from_pretrained(folder, fold=False)
    wanted = plain.logits(TEXTS)
    found = folded.logits(TEXTS)
    assert list(found) == list(KINDS)
    for name in KINDS:
        for own, other in zip(arrays_of(found[name]), arrays_of(wanted[name]), strict=True):
            np.testing.assert_allclose(own, other, atol=1e-4, err_msg=name)
    for name in ("intent", "type", "urgency"):
        np.testing.assert_array_equal(folded.of_task(name).logits(TEXTS), found[name])
    assert folded.predict(TEXTS)[3]["intent"] == folded.of_task("intent").predict(TEXTS)[3]


def test_exported_models_give_the_same(t5_folder: Base, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    for window in (None, 16):
        source = tmp_path / f"run{window}"
        names = [name for name in KINDS if window is None or name != "own-tokens"]
        saved_tasks(t5_folder(), source, encoder_window=window)
        vocabulary = Predictor.from_pretrained(source).model.config.vocab_size
        random_tasks(names, vocab_size=vocabulary, encoder_window=window).save_pretrained(source)
        onnx.export(str(source), tmp_path / f"onnx{window}")
        run, exported = Predictor.from_pretrained(source), Predictor.from_pretrained(tmp_path / f"onnx{window}")
        wanted, found = run.logits(TEXTS), exported.logits(TEXTS)
        assert list(found) == names
        for name in names:
            for own, other in zip(arrays_of(found[name]), arrays_of(wanted[name]), strict=True):
                np.testing.assert_allclose(own, other, atol=1e-3, err_msg=name)
            alone = pickle.loads(pickle.dumps(exported.of_task(name)))
            for own, other in zip(
                arrays_of(alone.logits(TEXTS)), arrays_of(run.of_task(name).logits(TEXTS)), strict=True
            ):
                np.testing.assert_allclose(own, other, atol=1e-3, err_msg=name)
        assert exported.of_task("intent").predict(TEXTS[1], top_k=2)[0].keys() == {"label", "score"}
        assert inspect(str(tmp_path / f"onnx{window}"))["decoder"] == inspect(str(source))["decoder"]


def test_tasks_are_asked_by_their_names(folder: Path) -> None:
    predictor = Predictor.from_pretrained(folder)
    with pytest.raises(EncT5Error, match=r"no task `intents`; did you mean `intent`\?"):
        predictor.of_task("intents")
    with pytest.raises(EncT5Error, match="without a name; use it as it is"):
        predictor.of_task("intent").of_task("intent")
    with pytest.raises(EncT5Error, match=r"say which to explain: `task` \(--task\)"):
        predictor.explain("where is my card")
    with pytest.raises(EncT5Error, match="no probabilities of labels"):
        predictor.predict(TEXTS, top_k=2)
    with pytest.raises(EncT5Error, match="no prediction can be withheld"):
        predictor.predict(TEXTS, abstain_below=0.5)
    assert predictor.explain("where is my card", task="intent").labels[0].label in ("a", "b", "c")
    assert len(predictor.of_task("intent").predict(TEXTS, top_k=2)[0]) == 2


def test_info_tells_of_every_task(folder: Path) -> None:
    facts = inspect(str(folder))
    assert facts["task"].startswith("5 tasks in one pass: intent (single), type (multi), urgency (regression)")
    assert "intent: 1 layer(s), 1 prompt(s); type: 2 layer(s), 4 prompt(s)" in facts["decoder"]
    assert "own-tokens: 1 layer(s), the text's own tokens" in facts["decoder"]
    assert EncT5ForTasks.from_pretrained(folder).is_fine_tuned()
