"""`enct5 serve`."""

from typing import Annotated

import typer

from enct5 import progress
from enct5.cli.options import BatchTokens, Device, Dtype, Quantize, Revision, say
from enct5.errors import require


def serve(
    models: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]MODEL...", help="Run folders, other EncT5 checkpoints, or hub ids."),
    ],
    host: Annotated[str, typer.Option(help="Address; the default is reached from this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="ENCT5_API_KEY", help="What requests have to send as `Authorization: Bearer`."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Pages of this origin may ask from a browser; may be given several times.")
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Print a line of JSON for every request, without its texts.")
    ] = False,
    max_body: Annotated[int, typer.Option(min=1, help="Most bytes of a request.")] = 2_000_000,
    max_batch: Annotated[int, typer.Option(min=1, help="Most texts of a request.")] = 1024,
    max_text: Annotated[int, typer.Option(min=1, help="Most characters of a text.")] = 100_000,
    max_queued: Annotated[int, typer.Option(min=1, help="Most texts of all requests that wait or run.")] = 2048,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds until a request is given up.")] = 30,
    drain_delay: Annotated[
        float, typer.Option(min=0, help="Seconds after SIGTERM in which new requests are still taken.")
    ] = 0,
    grace: Annotated[float, typer.Option(min=1, help="Seconds that requests then have to end.")] = 30,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    batch_tokens: BatchTokens = None,
    revision: Revision = None,
) -> None:
    """Serve models over HTTP, as TEI, Hugging Face, vLLM, Cohere and the Open Inference Protocol do."""
    for package in ("starlette", "uvicorn", "prometheus_client"):
        require(package, "serve", "`enct5 serve`")
    from enct5.cli import libraries
    from enct5.model.sources import check_source, prepare_for_hub
    from enct5.serving.address import bound
    from enct5.serving.limits import Limits
    from enct5.serving.names import checked_key, names_of

    checked_key(api_key)
    limits = Limits(max_body, max_batch, max_text, max_queued, timeout)
    named = names_of(models)
    at = bound(host, port)
    for source in named.values():
        check_source(source, revision)
    prepare_for_hub(*named.values())
    libraries.check_for(*named.values())
    libraries.load_for(*named.values())
    from enct5.inference.predictor import Predictor
    from enct5.serving import run
    from enct5.serving.app import app
    from enct5.serving.service import Service

    predictors = []
    with progress.bar("loading"):
        for name, source in named.items():
            predictor = Predictor.from_pretrained(
                source, device=device, dtype=dtype, quantize=quantize, batch_tokens=batch_tokens, revision=revision
            )
            predictors.append((name, source, predictor))
    service = Service(predictors, limits, api_key, say if access_log else None)
    address = f"http://{f'[{host}]' if ':' in host else host}:{at.getsockname()[1]}"
    is_open = api_key is None and host not in ("127.0.0.1", "::1", "localhost")

    def started() -> None:
        say(f"serving {', '.join(named)} at {address} (API: {address}/docs)")
        if is_open:
            say("warning: everybody who reaches this address may ask; --api-key asks for a key")

    run.serve(app(service, cors_origin or ()), service, at, drain_delay, grace, started)
