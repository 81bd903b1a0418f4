"""What every fabric offers. An `Endpoint` is somebody's way to one region of a peer; each verb ends with its result or
with a `FabricError`, and releases the GIL meanwhile.

    put(offset, bytes)                            unordered; the bytes may be reused when it returns
    flush()                                       every earlier put is visible to the owner of the region
    get(offset, buffer)                           each aligned 8-byte word comes whole
    compare_and_swap(offset, expected, desired)   one aligned 8-byte word; returns it as it was
    fetch_add(offset, addend)                     the same
    append(a, b, record)                          run by the target; only where `capability.composite_append`

`endpoint.capability` tells what happens without anybody at the target: on shm everything, over sockets nothing.
`FabricError.fault` is `peer_lost`, `timed_out`, `out_of_range` or `refused`; after the first two the operation may have
happened and the endpoint is broken.
"""

from brickwork._native import Capability, Endpoint, FabricError

__all__ = ["Capability", "Endpoint", "FabricError"]
