"""What is wrong with a profile file."""

from brickwork.core.errors import FileError


class ProfileError(FileError):
    """A profile file is not what its format asks for. The text names the file and the field."""
