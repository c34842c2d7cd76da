"""What a model's or base's name stands for, told without torch: a folder, an id on the hub, or a mistake."""

import os
import re
import threading
from pathlib import Path

from enct5.errors import EncT5Error, nearest, show
from enct5.files.hub_names import on_hub, split_revision
from enct5.files.paths import foreign, is_file_name
from enct5.model.folder import is_interrupted

_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
_LONGEST_WAIT = 5  # seconds


def check_source(source: str, revision: str | None = None) -> None:
    """Refuse what can be neither a checkpoint's folder nor an id on the hub.

    Args:
        source: folder or hub id, `owner/name` or `owner/name@revision`.
        revision: branch, tag or commit on the hub.

    Raises:
        EncT5Error: when it is a path that leads nowhere, an interrupted run, or a folder without config.json; or a
            folder of which a revision is asked for, or a name with another one.
    """
    is_path = bool(source) and Path(source).exists()  # an empty one would be the current folder
    name, named = split_revision(source)
    if is_path and is_interrupted(Path(source)):
        raise EncT5Error(
            f"{source} holds an interrupted run and no model yet; finish it by the same `enct5 train` with --resume"
        )
    if not is_path and (kind := foreign(source)):
        raise EncT5Error(f"{source} is {kind}; name a checkpoint's folder, or its id on the hub, as in `org/name`")
    if not is_path and (not _HUB_ID.fullmatch(name) or is_file_name(name) or named == ""):
        guess = _nearest_folder(Path(source))
        meant = f"did you mean {guess}?" if guess else "name a checkpoint's folder, or its id on the hub"
        raise EncT5Error(f"there is no folder {source}; {meant}")
    if is_path and not (Path(source) / "config.json").is_file():
        what = "holds no config.json, so it is no checkpoint" if Path(source).is_dir() else "is a file, no checkpoint"
        raise EncT5Error(f"{source} {what}; name a T5 or EncT5 folder")
    if is_path and revision is not None:
        raise EncT5Error(
            f"`revision` (--revision) is {show(revision)}, but {source} is a folder here, which has none; leave it out"
        )
    on_hub(source, revision)


def _nearest_folder(path: Path) -> Path | None:
    try:
        guess = nearest(path.name, [folder.name for folder in path.parent.iterdir() if folder.is_dir()])
    except OSError:
        return None
    return None if guess is None else path.with_name(guess)


def anywhere(source: str) -> str:
    """A checkpoint's folder by its whole path, which other processes find; a name on the hub as it is."""
    path = Path(source)
    return str(path.absolute()) if path.is_dir() and not foreign(source) else source


def prepare_for_hub(*sources: str | None) -> None:
    """Go on as without a network where a source is not here and the hub does not answer within seconds.

    What the cache holds is found then, and what it lacks is told at once; the hub's library would try for half a
    minute. It reads the setting when it is imported, so this has to come first.
    """
    if "HF_HUB_OFFLINE" in os.environ or all(source is None or Path(source).exists() for source in sources):
        return
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(_hub_answers()), daemon=True)
    asking.start()
    asking.join(_LONGEST_WAIT)  # the look-up of the hub's name has no limit of its own
    if not any(answers):
        os.environ["HF_HUB_OFFLINE"] = "1"


def _hub_answers() -> bool:
    from ssl import SSLError
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        urlopen(Request(os.environ.get("HF_ENDPOINT", "https://huggingface.co"), method="HEAD"), timeout=_LONGEST_WAIT)
    except HTTPError:
        return True
    except URLError as error:
        return isinstance(error.reason, SSLError)  # it answers; the hub's library has its own certificates
    except (OSError, ValueError):
        return False
    return True
