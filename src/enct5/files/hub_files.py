"""Files of a checkpoint, in a folder here or on the hub."""

from pathlib import Path
from typing import Any

from enct5.files.hub_names import on_hub


def file_of(source: str, name: str, **hub: Any) -> Path | None:
    """A file of a folder or hub checkpoint (`revision`, `token`); `None` if it has none of this name.

    Also where the hub does not answer and the file is not among those that were fetched before.

    Raises:
        OSError: where the hub has no such repository or revision, or does not show it.
    """
    repository, places = on_hub(source, **hub)
    if Path(repository).is_dir():
        file = Path(repository) / name
        return file if file.is_file() else None
    # takes a while to import, and folders need nothing of it
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(hf_hub_download(repository, name, **places))
    except EntryNotFoundError:
        return None
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise
    except HFValidationError as error:
        raise OSError(str(error)) from error
    except HfHubHTTPError:
        cached = try_to_load_from_cache(repository, name, revision=places.get("revision"))
        return Path(cached) if isinstance(cached, str) else None
