"""The fabric between processes of one host: memory found by file descriptor, so that no name is ever left behind."""

import os

from brickwork._native import Endpoint, Region, ShmEndpoint

__all__ = ["Region", "connect", "create_region"]


def create_region(nbytes: int) -> Region:
    """New shared memory of `nbytes` zeros. Others map it with `Region(fd)`; its fd is closed on exec, so pass it on
    explicitly (pass_fds, SCM_RIGHTS). It lives as long as anybody has mapped or opened it."""
    fd = Region.create(nbytes)
    try:
        return Region(fd)
    finally:
        os.close(fd)


def connect(region: Region) -> Endpoint:
    """The verbs on a region that this process has mapped. Nobody at the other end takes part: a stopped or dead peer
    changes nothing."""
    return ShmEndpoint(region)
