"""The real clients of every dialect, against a server on a real port; those that are not installed are skipped."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from huggingface_hub import InferenceClient, constants
from huggingface_hub.errors import BadRequestError, HfHubHTTPError

from enct5.inference.predictor import Predictor
from enct5.serving.limits import Limits
from helpers.serving import PAIRS, TEXTS, listening, near

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

Predictors = dict[str, Predictor]
Start = Callable[..., str]


@pytest.fixture(scope="module")
def start(predictors: Predictors) -> Iterator[Start]:
    """Starts a server of some models; its address."""
    with ExitStack() as running:

        def started(*names: str, **settings: Any) -> str:
            return running.enter_context(listening({name: predictors[name] for name in names}, **settings))

        yield started


@pytest.fixture(scope="module")
def url(start: Start, predictors: Predictors) -> str:
    """A server of all models."""
    return start(*predictors)


@pytest.fixture(autouse=True)
def this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some clients would ask a proxy for 127.0.0.1, too, and the hub's client refuses it with all other addresses."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def test_hugging_face_texts(url: str, predictors: Predictors) -> None:
    client = InferenceClient(f"{url}/models/single", token="unused")
    wanted = predictors["single"].predict(TEXTS[0], all_scores=True)
    found = client.text_classification(TEXTS[0])
    assert [(one.label, one.score) for one in found] == [(one["label"], near(one["score"])) for one in wanted]
    assert [one.label for one in client.text_classification(TEXTS[0], top_k=2)] == [one["label"] for one in wanted[:2]]
    raw = client.text_classification(TEXTS[0], function_to_apply="none")
    assert [one.score for one in raw] == near(sorted(predictors["single"].logits(TEXTS[:1])[0].tolist(), reverse=True))
    with pytest.raises(BadRequestError, match="several models are served"):
        InferenceClient(url, token="unused").text_classification("x")


def test_hugging_face_tokens(url: str, predictors: Predictors) -> None:
    found = InferenceClient(f"{url}/models/tags", token="unused").token_classification(TEXTS[0])
    wanted = predictors["tags"].predict(TEXTS[0])["entities"]
    assert [(one.entity_group, one.start, one.end) for one in found] == [
        (one["label"], one["start"], one["end"]) for one in wanted
    ]
    assert found
    assert all(TEXTS[0][one.start : one.end] == one.word for one in found)


def test_hugging_face_endpoints(url: str) -> None:
    client = InferenceClient(f"{url}/models/single", provider="hf-inference", token="unused")
    assert client.health_check()
    assert client.get_endpoint_info()["model_id"] == "runs/single"


def test_hugging_face_errors(start: Start) -> None:
    guarded = start("single", api_key="s3cret")
    with pytest.raises(HfHubHTTPError, match="401"):
        InferenceClient(guarded, token="wrong").text_classification("x")
    assert InferenceClient(guarded, token="s3cret").text_classification("x")


def test_cohere(url: str, predictors: Predictors) -> None:
    cohere = pytest.importorskip("cohere", reason="needs cohere")
    wanted = predictors["match"].rank("where", TEXTS)
    client = cohere.ClientV2(api_key="unused", base_url=url)
    found = client.rerank(model="match", query="where", documents=TEXTS, top_n=2)
    assert [(one.index, one.relevance_score) for one in found.results] == [
        (one["index"], near(one["score"])) for one in wanted[:2]
    ]
    first = cohere.Client(api_key="unused", base_url=url)
    found = first.rerank(model="match", query="where", documents=TEXTS, return_documents=True)
    assert [one.document.text for one in found.results] == [one["document"] for one in wanted]
    found = first.rerank(model="match", query="where", documents=[{"text": text} for text in TEXTS])
    assert [one.index for one in found.results] == [one["index"] for one in wanted]
    with pytest.raises(cohere.NotFoundError, match="no model `rerank-v3"):
        client.rerank(model="rerank-v3.5", query="where", documents=TEXTS)


def test_cohere_errors(start: Start) -> None:
    cohere = pytest.importorskip("cohere", reason="needs cohere")
    guarded = start("match", api_key="s3cret", limits=Limits(batch=3, queued=3))
    with pytest.raises(cohere.UnauthorizedError):
        cohere.ClientV2(api_key="wrong", base_url=guarded).rerank(model="match", query="where", documents=TEXTS)
    client = cohere.ClientV2(api_key="s3cret", base_url=guarded, max_retries=0)
    with pytest.raises(cohere.UnprocessableEntityError, match="batch size"):
        client.rerank(model="match", query="where", documents=TEXTS * 2)


def test_openai(url: str, predictors: Predictors) -> None:
    openai = pytest.importorskip("openai", reason="needs openai")
    client = openai.OpenAI(api_key="unused", base_url=f"{url}/v1", max_retries=0)
    assert [model.id for model in client.models.list()] == list(predictors)
    answer: Any = client.post("/classify", cast_to=object, body={"model": "single", "input": TEXTS})
    scores = predictors["single"].task.scores(predictors["single"].logits(TEXTS))
    assert [one["probs"] for one in answer["data"]] == near(scores.tolist())
    with pytest.raises(openai.BadRequestError, match="several models are served"):
        client.post("/classify", cast_to=object, body={"input": "x"})
    with pytest.raises(openai.NotFoundError, match="no model `gpt`"):
        client.post("/classify", cast_to=object, body={"input": "x", "model": "gpt"})


def test_triton(url: str, predictors: Predictors) -> None:
    triton = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("match")
    assert not client.is_model_ready("other")
    about = client.get_model_metadata("match")
    assert [one["name"] for one in about["inputs"]] == ["text", "text_pair"]
    inputs = []
    for name, texts in (("text", [a for a, _ in PAIRS]), ("text_pair", [b for _, b in PAIRS])):
        given = triton.InferInput(name, [len(texts)], "BYTES")
        given.set_data_from_numpy(np.array(texts, dtype=object), binary_data=False)
        inputs.append(given)
    wanted = triton.InferRequestedOutput("probabilities", binary_data=False)
    found = client.infer("match", inputs, outputs=[wanted], request_id="7").as_numpy("probabilities")
    scores = predictors["match"].task.scores(predictors["match"].logits(PAIRS))
    np.testing.assert_allclose(found, scores, atol=1e-5)
    inputs[0].set_data_from_numpy(np.array(["a"] * 3, dtype=object), binary_data=True)
    with pytest.raises(Exception, match="binary"):
        client.infer("match", inputs, outputs=[wanted])
    client.close()
