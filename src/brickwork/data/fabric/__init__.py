"""Fabrics: ways to reach a peer's memory with the same few verbs. The verbs are native (native/fabric.hpp).

base.py   the verbs, what a fabric can do, how it fails
shm.py    between processes of one host
"""

from brickwork.data.fabric.base import Capability, Endpoint, FabricError
from brickwork.data.fabric.shm import Region, connect, create_region

__all__ = ["Capability", "Endpoint", "FabricError", "Region", "connect", "create_region"]
