"""Ray Serve runs the application of `enct5 serve`: its dialects, the scores of `Predictor`, mistakes in one line."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from enct5.ray import serve_app
from enct5.serving.app import app
from enct5.serving.ray_serve import _Replica
from enct5.serving.service import Service
from helpers.paths import ROOT
from helpers.serving import TEXTS, near

# Starts what a configuration says, and posts each body to its path.
ASK = """
import json, os, sys, urllib.request
os.environ |= {"RAY_worker_niceness": "0", "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60"}
import ray, yaml
from importlib import import_module
from ray import serve
from ray.serve.schema import ServeDeploySchema

config, port, asked, out = sys.argv[1:]
(wanted,) = ServeDeploySchema.model_validate(yaml.safe_load(config)).applications
module, _, name = wanted.import_path.partition(":")
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"port": int(port)})
serve.run(getattr(import_module(module), name)(wanted.args), name=wanted.name, route_prefix=wanted.route_prefix)
no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
answers = []
for path, body in json.loads(asked):
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, {"Content-Type": "application/json"})
    answers.append(json.load(no_proxy.open(request)))
replicas = serve.status().applications[wanted.name].deployments["enct5"].replica_states
with open(out, "w") as file:
    json.dump([answers, replicas], file)
"""


@pytest.mark.slow
def test_the_configuration_of_the_guide_serves(
    served_folders: dict[str, Path], predictors: dict[str, Predictor], tmp_path: Path
) -> None:
    pytest.importorskip("ray.serve", reason="needs Ray Serve (the `ray-serve` extra)")
    shutil.copytree(served_folders["single"], tmp_path / "intents")
    shutil.copytree(served_folders["value"], tmp_path / "urgency")
    guide = (ROOT / "docs" / "many-machines.md").read_text(encoding="utf-8")
    (config,) = re.findall(r"```yaml\n(applications:\n.*?)```", guide, flags=re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    tensor = {"name": "text", "shape": [3], "datatype": "BYTES", "data": TEXTS}
    asked: list[tuple[str, Any]] = [
        ("/models/intents/predict", {"inputs": [[text] for text in TEXTS]}),
        ("/classify", {"model": "intents", "input": TEXTS}),
        ("/v2/models/intents/infer", {"inputs": [tensor], "outputs": [{"name": "logits"}]}),
        ("/v1/predict", {"model": "urgency", "texts": TEXTS}),
        ("/v2/models", None),
    ]
    config = config.replace("/models/", f"{tmp_path}/").replace("num_replicas: 2", "num_replicas: 1")
    out = tmp_path / "answers.json"  # Ray writes to standard output, too
    command = [sys.executable, "-c", ASK, config, str(port), json.dumps(asked), str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    answers, replicas = json.loads(out.read_text(encoding="utf-8"))
    tei, vllm, infer, own, models = answers
    single = predictors["single"]
    assert tei == near(single.predict(TEXTS, top_k=None))
    logits = single.logits(TEXTS)
    assert [one["probs"] for one in vllm["data"]] == near(single.task.scores(logits).tolist())
    assert infer["outputs"][0]["data"] == near(logits.reshape(-1).tolist())
    assert own["results"] == near(predictors["value"].predict(TEXTS))
    assert models == {"models": ["intents", "urgency"]}
    assert replicas == {"RUNNING": 1}


def test_a_replica_is_well_once_it_has_predicted_and_until_it_fails(predictors: dict[str, Predictor]) -> None:
    class Failing(Predictor):
        fails = False

        def run(self, rows: Any) -> Any:
            if self.fails:
                raise RuntimeError("the device is gone")
            yield from super().run(rows)

    single = predictors["single"]
    predictor = Failing(single.engine, single.tokenizer, single.config)

    async def go() -> None:
        service = Service([("single", "runs/single", predictor)])
        replica = _Replica()
        replica.app = app(service)
        async with replica.app.router.lifespan_context(replica.app):
            assert service.not_ready() == "loading"
            await replica.check_health()  # waits for it
            predictor.fails = True
            with pytest.raises(RuntimeError, match="the device is gone"):
                await service.models.get(None).read(["text"])
            while service.not_ready() is None:  # the device's thread notes it behind the answer
                await asyncio.sleep(0.001)
            with pytest.raises(RuntimeError, match="not ready: the last batch failed"):
                await replica.check_health()
            predictor.fails = False
            while service.not_ready() is not None:
                await asyncio.sleep(0.001)
            await replica.check_health()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "the argument `models` is missing: a model, or a list of them"),
        ({"models": "x", "max_text": "many"}, "`max_text` is `many`: input should be a valid integer"),
        ({"models": "x", "num_replica": 2}, "no argument `num_replica`; did you mean `num_replicas`?"),
        ({"models": ["a=x", "a=y"]}, "`a=y`: each model needs a name of its own; write NAME=y"),
        ({"models": "runs/nothing.pt"}, "there is no folder runs/nothing.pt"),
        ({"models": "x", "max_batch": "9", "max_queued": "8"}, "a request may have 9 texts (--max-batch), but only 8"),
    ],
)
def test_mistakes(args: dict[str, Any], said: str) -> None:
    with pytest.raises(EncT5Error) as told:
        serve_app(args)
    assert str(told.value).startswith(said)
    assert "\n" not in str(told.value)


def test_a_key_that_no_header_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCT5_API_KEY", "")
    with pytest.raises(EncT5Error, match=r"the key \(--api-key, ENCT5_API_KEY\) is empty"):
        serve_app({"models": "x"})


def test_without_ray_serve(served_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EncT5Error) as told:
        serve_app({"models": str(served_folders["single"])})
    assert str(told.value) == "`serve_app` needs Ray Serve, which is not installed: pip install 'enct5[ray-serve]'"
