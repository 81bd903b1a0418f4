"""Fabrics: ways to reach a peer's memory with the same few verbs. The verbs are native (native/fabric.hpp).

base.py     the verbs, what a fabric can do, how it fails
shm.py      between processes of one host
tcp.py      between hosts, always there; secret.py: what both ends must know
ucx.py      between hosts with InfiniBand or RoCE, where UCX is installed
probe.py    what each can do, found by trying with the target asleep; word.py: the finding, sleeper.py: the target
select.py   which one two processes use
"""

from brickwork.data.fabric.base import Capability, Endpoint, FabricError
from brickwork.data.fabric.shm import Region, connect, create_region

__all__ = ["Capability", "Endpoint", "FabricError", "Region", "connect", "create_region"]
