"""A finished model folder on the hub: whether it may go there, told before hours of training, and what of it goes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from enct5.errors import EncT5Error, show
from enct5.files.writing import write_text
from enct5.model.folder import (
    ADAPTER_FILES,
    CONFIG_AND_TOKENIZER,
    CONVERSION,
    LOGS,
    METRICS,
    MODEL_FILES,
    REPORT,
    REPORT_OF_A_TASK,
    TRAIN_CONFIG,
)
from enct5.version import __version__

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# What goes there, by name, whatever else a folder holds: the report shows texts, TensorBoard's files know this machine.
PUBLISHED = (*CONFIG_AND_TOKENIZER, *MODEL_FILES, *ADAPTER_FILES, TRAIN_CONFIG, METRICS, CONVERSION)
_KEPT = (REPORT, REPORT_OF_A_TASK.format("*"), f"{LOGS}/*")
_EXPORTED = "model.onnx*"  # of an older model, which `Predictor` would take before the weights
_FOLDER_IN_CARD = "path/to/this/folder"  # what a card calls its model, which has no name before it is published


@dataclass
class Repository:
    """A repository of models on the hub, to be pushed to.

    Attributes:
        name: its id, `owner/name`; for one of the user's own `name` alone will do, until it is opened.
        private: whether it is to be seen by its owner alone.
        token: access token of the hub; None or True for the one that `HF_TOKEN` or `hf auth login` keeps.
    """

    name: str
    private: bool = False
    token: str | bool | None = field(default=None, repr=False)

    def check(self) -> None:
        """Refuse what can be no name on the hub, and a user whom the hub does not know.

        Raises:
            EncT5Error: for either.
        """
        from huggingface_hub import get_token
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id

        try:
            validate_repo_id(self.name)
        except HFValidationError as error:
            raise EncT5Error(
                f"{show(self.name)} (--push-to-hub) can be no name on the hub: {show(error, 200)}; give one as in "
                "`owner/name`"
            ) from error
        if not (get_token() if self.token in (None, True) else self.token):
            raise EncT5Error(
                f"pushing to {self.name} needs a token of the hub; log in by `hf auth login`, or set HF_TOKEN"
            )

    def open(self) -> None:
        """Make the repository where there is none, and be sure that it may be written to.

        Raises:
            EncT5Error: when it may not, the hub cannot be reached, or what is to be private is public already.
        """
        api = self._api()
        try:
            name = api.create_repo(self.name, private=self.private or None, exist_ok=True).repo_id
            api.auth_check(name, write=True)
            is_private = api.model_info(name).private
        except Exception as error:  # the hub's library raises whatever the network does
            raise EncT5Error(
                f"cannot push to {self.name}: {_reason(error)}; check the name, the network, and that the token "
                "(`hf auth login`, HF_TOKEN) may write there"
            ) from error
        if self.private and not is_private:
            raise EncT5Error(
                f"{name} is on the hub already, for all to see, and --private does not change that; choose another "
                "name, make it private there, or leave --private out"
            )
        self.name = name

    def push(self, folder: Path) -> str:
        """Upload a model folder: what can be loaded, and the card, in which the model gets its name; no texts.

        What an earlier model left there is replaced.

        Args:
            folder: a finished run, or a converted checkpoint; of anything in it `PUBLISHED` goes.

        Returns:
            The address of the repository.

        Raises:
            EncT5Error: when it cannot be uploaded; then the message says how to do it later.
        """
        card = folder / "README.md"
        try:
            write_text(card.read_text(encoding="utf-8").replace(_FOLDER_IN_CARD, self.name), card)
            api = self._api()
            api.upload_folder(
                repo_id=self.name,
                folder_path=folder,
                allow_patterns=list(PUBLISHED),
                delete_patterns=[*PUBLISHED, _EXPORTED],
                commit_message=f"Upload of enct5 {__version__}",
            )
        except Exception as error:
            kept = " ".join(f"--exclude '{pattern}'" for pattern in _KEPT)
            raise EncT5Error(
                f"the model in {folder} is complete, but could not be pushed: {_reason(error)}; push it later by "
                f"`hf upload {self.name} {folder} . {kept}`"
            ) from error
        return f"{api.endpoint}/{self.name}"

    def _api(self) -> "HfApi":
        from huggingface_hub import HfApi

        return HfApi(token=self.token, library_name="enct5", library_version=__version__)


def _reason(error: Exception) -> str:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "the hub does not answer, or HF_HUB_OFFLINE is set"
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        return show(error.__cause__, 200)  # which says more of an upload that failed
    if isinstance(error, HfHubHTTPError) and error.server_message:
        return f"{error.response.status_code} {show(error.server_message, 200)}"
    return show(error, 200)
