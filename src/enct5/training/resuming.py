"""An interrupted run goes on with its own settings, data and base only."""

import json
from pathlib import Path
from typing import Any

from enct5.assets import BUNDLED
from enct5.data.digests import digest_of_data
from enct5.errors import EncT5Error
from enct5.files.writing import write_text
from enct5.model.digests import digest_of_checkpoint
from enct5.model.folder import CHECKPOINTS, public_name
from enct5.training.config import TrainConfig
from enct5.version import __version__

RECORD = "run.json"  # beside the checkpoints: what decides the run
_ANEW = "start anew with another --out"
_WHEREVER = ("out", "report_to")  # settings that change nothing of what is learned
_CHECKPOINTS = ("base", "teacher")  # settings that name a model


def remember(settings: TrainConfig, out: Path, resume: bool, continues: bool) -> None:
    """Keep what decides a run beside its checkpoints; a resumed run must have the same.

    A file is the same by its content, whatever its name; the run folder may have another name, too.

    Args:
        settings: the run's settings, resolved.
        out: the run folder, claimed.
        resume: whether an interrupted run in it is to be continued.
        continues: whether there is a checkpoint to go on from.

    Raises:
        EncT5Error: for a resumed run with other settings, data or base, or of another version.
    """
    path, now = out / CHECKPOINTS / RECORD, _record(settings)
    if resume and path.is_file():
        _compare(_read(path), now, out)
    elif continues:
        raise EncT5Error(
            f"the interrupted run in {out} does not say how it was started ({path} is missing): another version of "
            f"enct5 wrote it, perhaps; {_ANEW}"
        )
    else:
        write_text(json.dumps(now, indent=2) + "\n", path, "make room, or choose another --out")


def _record(settings: TrainConfig) -> dict[str, Any]:
    """What decides a run, in JSON's types."""
    values = settings.model_dump(mode="json", exclude={*_WHEREVER, *settings.sources})
    return {"enct5": __version__, **values, **{name: _source(settings, name) for name in settings.sources}}


def _source(settings: TrainConfig, name: str) -> dict[str, str | None] | None:
    source = getattr(settings, name)
    if source is None or source == BUNDLED:
        return source and {"name": source, "sha256": None}
    found = digest_of_checkpoint(source) if name in _CHECKPOINTS else digest_of_data(source)
    return {"name": public_name(source), "sha256": found}


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise EncT5Error(f"cannot read {path} ({error}); {_ANEW}") from error


def _compare(former: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    if former.get("enct5") != now["enct5"]:
        raise EncT5Error(
            f"the run in {out} was started by enct5 {former.get('enct5')}, this is {now['enct5']}; resume with that "
            f"version, or {_ANEW}"
        )
    for name, value in now.items():
        before = former.get(name)
        if before == value:
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            if value["sha256"] is not None and value["sha256"] == before.get("sha256"):
                continue
            if value["name"] == before.get("name"):
                kind = name if name in _CHECKPOINTS else "data"
                raise EncT5Error(
                    f"the {kind} has changed ({value['name']}) since the run in {out} was interrupted; restore it, or "
                    f"{_ANEW}"
                )
        raise EncT5Error(
            f"`{name}` is {_shown(value)}, but the interrupted run in {out} has {_shown(before)}; resume with the same "
            "options"
        )


def _shown(value: Any) -> Any:
    return value.get("name") if isinstance(value, dict) else value
