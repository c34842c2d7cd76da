"""What is not answered, and why: one kind of error inside, each dialect's own shape outside."""

from enum import Enum


class Kind(Enum):
    """Why a request is refused: the status that most dialects give it, and TEI's name for it."""

    MALFORMED = (400, "Validation")
    EMPTY = (400, "Empty")
    UNAUTHORIZED = (401, "Unauthorized")
    NOT_FOUND = (404, "NotFound")
    METHOD = (405, "Validation")
    SLOW_BODY = (408, "Validation")
    TOO_LARGE = (413, "Validation")
    MEDIA_TYPE = (415, "Validation")
    INVALID = (422, "Validation")
    TOO_LONG = (422, "Validation ")
    NOT_FOR_MODEL = (424, "Backend")
    OVERLOADED = (429, "Overloaded")
    INTERNAL = (500, "Backend ")
    UNAVAILABLE = (503, "Unhealthy")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def name_of_tei(self) -> str:
        """The `error_type` of TEI."""
        return self.value[1].strip()  # members of equal values would be one


class RefusalError(Exception):
    """A request that is not answered.

    Attributes:
        kind: why.
        message: the same for the caller, in one line.
        param: the field of the request that is at fault, if one is.
        retry_after: seconds after which it may be asked again; None where that would not help.
    """

    def __init__(self, kind: Kind, message: str, param: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.param, self.retry_after = kind, message, param, retry_after
