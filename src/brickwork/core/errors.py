"""Errors that cross rooms. Each says what was expected, names the field, and offers a remedy."""


class BrickworkError(Exception):
    """Base of every error that a user may see. Its text is one or more complete sentences."""


class InputError(BrickworkError):
    """A request input is refused before anything runs.

    field     name of the input (`steps`), as the workflow declares it
    """

    def __init__(self, field: str, message: str):
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class WorkflowError(BrickworkError):
    """A workflow is wrong as written. `where` is the author's `file:line`."""

    def __init__(self, message: str, where: str | None = None):
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.message = message


class ModelError(BrickworkError):
    """A model directory is missing, incomplete, corrupt or of an unsupported kind."""


class FileError(BrickworkError):
    """A file that people write is not what its format asks for. The text names file and field."""


class Rejected(BrickworkError):
    """Admission refused the request; nothing ran.

    retry_after_s     seconds after which the same request is predicted to be accepted; None: never, as it stands
    """

    def __init__(self, message: str, retry_after_s: float | None):
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RequestFailed(BrickworkError):
    """The request was accepted and then failed. The text names node, model and executor."""


class Expired(RequestFailed):
    """The request was accepted, could no longer meet its deadline, and was stopped as its SLO asks."""


class Cancelled(BrickworkError):
    """The request was cancelled by its owner."""


class OutOfSpace(BrickworkError):
    """The tensor arena has no free block of the needed size."""


class StaleHandle(BrickworkError):
    """A tensor handle's bytes were released and may have been reused."""
