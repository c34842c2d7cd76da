"""Ray Serve: the application of `enct5 serve`, run by replicas."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import pydantic

from enct5.errors import EncT5Error, show, unknown
from enct5.extras import need
from enct5.model.sources import anywhere, check_source
from enct5.serving.limits import Limits
from enct5.serving.names import checked_key, names_of

if TYPE_CHECKING:
    from ray.serve import Application
    from starlette.applications import Starlette

_NAME = "enct5"  # of the deployment, by which a configuration of Ray Serve knows it


class _Settings(pydantic.BaseModel):
    """Arguments; from the command line of Ray Serve they all come as strings."""

    model_config = pydantic.ConfigDict(extra="forbid")

    models: str | list[str]
    num_replicas: int | Literal["auto"] = 1
    num_cpus: float = 1
    num_gpus: float = 0
    device: str = "auto"
    dtype: str = "auto"
    quantize: str | None = None
    batch_tokens: int | None = None
    revision: str | None = None
    max_body: int = Limits.body
    max_batch: int = Limits.batch
    max_text: int = Limits.text
    max_queued: int = Limits.queued
    timeout: float = Limits.timeout

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> "_Settings":
        """The settings that arguments say; the first mistake is told."""
        try:
            return cls.model_validate(args)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            if first["type"] == "extra_forbidden":
                raise unknown("argument", name, cls.model_fields) from None
            if first["type"] == "missing":
                raise EncT5Error(f"the argument `{name}` is missing: a model, or a list of them") from None
            raise EncT5Error(f"`{name}` is {show(args[name])}: {first['msg'].lower()}") from None

    @property
    def limits(self) -> Limits:
        """How much a replica takes."""
        return Limits(self.max_body, self.max_batch, self.max_text, self.max_queued, self.timeout)


class _Replica:
    """What Ray asks of a replica; the rest is the application."""

    app: "Starlette"

    async def check_health(self) -> None:
        """Say why requests had better go elsewhere: Ray waits for a new replica, and replaces one that stays so."""
        service = self.app.state.service
        await service.warmed_up()
        if (reason := service.not_ready()) is not None:
            raise RuntimeError(f"not ready: {reason}")


def serve_app(args: dict[str, Any]) -> "Application":
    """The application of `enct5 serve` for Ray Serve, which calls this with the arguments of its configuration.

    A key for requests is that of the environment here, `ENCT5_API_KEY`, as `enct5 serve` has it.

    Example:
        >>> serve.run(serve_app({"models": ["runs/intents", "urgency=runs/2026-05"], "num_replicas": 4}))

    Args:
        args: `models`, one `[NAME=]MODEL` or a list of them, each a run folder, another EncT5 checkpoint, an exported
            model or a name on the hub, readable on every machine. Beside it `num_replicas`, a number or "auto";
            `num_cpus` and `num_gpus` of a replica, 1 and 0 by default; and of the options of `enct5 serve`: `device`,
            `dtype`, `quantize`, `batch_tokens`, `revision`, `max_body`, `max_batch`, `max_text`, `max_queued`,
            `timeout`.

    Returns:
        What `ray.serve.run` takes: one deployment, `enct5`.

    Raises:
        EncT5Error: without Ray Serve, for arguments that are not known or make no sense, or where there is no model.
    """
    settings = _Settings.of(args)
    limits = settings.limits
    key = checked_key(os.environ.get("ENCT5_API_KEY"))
    named = names_of([settings.models] if isinstance(settings.models, str) else settings.models)
    for source in named.values():
        check_source(source, settings.revision)
    sources = {name: anywhere(source) for name, source in named.items()}

    need("serve", "`serve_app`")
    try:
        from ray import serve
    except ImportError as error:  # of Ray, or of one of the packages that its server alone needs
        said = "`serve_app` needs Ray Serve, which is not installed: pip install 'enct5[ray-serve]'"
        raise EncT5Error(said) from error

    def application() -> "Starlette":
        return _application(sources, settings, limits, key)

    deployment = serve.deployment(
        serve.ingress(application)(_Replica),
        name=_NAME,
        num_replicas=settings.num_replicas,
        ray_actor_options={"num_cpus": settings.num_cpus, "num_gpus": settings.num_gpus},
        max_ongoing_requests=limits.queued,  # texts: the replica's own queue refuses, which knows how late it is
    )
    return deployment.bind()


def _application(sources: Mapping[str, str], settings: _Settings, limits: Limits, key: str | None) -> "Starlette":
    """The application of a replica, with its models loaded."""
    from enct5.inference.predictor import Predictor
    from enct5.serving.app import app
    from enct5.serving.service import Service

    names = ("device", "dtype", "quantize", "batch_tokens", "revision")
    how = {name: getattr(settings, name) for name in names}
    predictors = [(name, source, Predictor.from_pretrained(source, **how)) for name, source in sources.items()]
    return app(Service(predictors, limits, key))
