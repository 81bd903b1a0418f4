"""The secret that the processes of one cluster share: where it comes from, and that it stays out of sight.

Looked for in this order: what the caller gives, `BRICKWORK_FABRIC_SECRET`, the file that `BRICKWORK_FABRIC_SECRET_FILE`
names. A file must be readable by its owner alone. The secret itself never goes over a wire: both ends prove that they
know it (native/tcp_wire.hpp).
"""

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from brickwork.core.errors import BrickworkError

MIN_BYTES = 16
"""128 bits. Who listens to a hello can try secrets at leisure; shorter ones would be found."""

VARIABLE = "BRICKWORK_FABRIC_SECRET"
FILE_VARIABLE = "BRICKWORK_FABRIC_SECRET_FILE"


class SecretError(BrickworkError):
    """There is no secret, or its file may be read by others; the text says what to do."""


class Secret:
    """Bytes that no log shows by accident."""

    __slots__ = ("reveal",)

    def __init__(self, value: bytes):
        """raises    SecretError when it is shorter than MIN_BYTES"""
        if len(value) < MIN_BYTES:
            raise SecretError(f"The secret has {len(value)} bytes; at least {MIN_BYTES} are needed.")
        self.reveal = value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


def new_secret() -> Secret:
    """32 random bytes, for processes that hand it to their children."""
    return Secret(secrets.token_bytes(32))


def find_secret(environ: Mapping[str, str] = os.environ) -> Secret:
    """raises    SecretError"""
    if text := environ.get(VARIABLE):
        return Secret(text.encode())
    if path := environ.get(FILE_VARIABLE):
        return read_secret(Path(path))
    raise SecretError(
        f"Processes on several hosts need one secret: name a file in {FILE_VARIABLE}, or give it in {VARIABLE}."
    )


def read_secret(path: Path) -> Secret:
    """The secret in a file, without the line's end. Its rights are checked on the file that is read, not by name.

    raises    SecretError
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mode & 0o077 or status.st_uid not in (os.geteuid(), 0):
                mode = stat.filemode(status.st_mode)
                raise SecretError(f"{path}: others may read this secret ({mode}); chmod 600 it, and own it.")
            return Secret(file.read(4096).rstrip(b"\r\n"))
    except OSError as error:
        raise SecretError(f"{path}: the secret cannot be read: {error.strerror}.") from error


def write_secret(path: Path) -> Secret:
    """Make a new file with a new secret. Copy it to the cluster's other hosts.

    raises    SecretError when the file exists
    """
    value = secrets.token_hex(32).encode()
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SecretError(f"{path}: cannot make the file: {error.strerror}.") from error
    with open(fd, "wb") as file:
        file.write(value + b"\n")
    return Secret(value)
