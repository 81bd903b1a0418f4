"""The data engine: tensors in shared memory, found by handle, kept alive by leases; messages between processes. Knows
no torch. The picture is in docs/concepts/data-engine.md.

tensors.py          what everybody uses: put, allocate, get, release
views.py            a leased tensor as bytes, numpy, DLPack
blocks.py           who holds a tensor, and which life of its blocks that is
lives.py            which process is behind a holder, and whether it is dead
layout.py           where everything lies in an arena
arena.py            the shared memory itself, mapped once for reading and once for writing
spill.py            the same on disk, for when memory is full
segments.py         a host's memory as descriptors
keeper.py           a coordinator's hand on it: makes it, numbers lives, adopts, reclaims
keeper_process.py   the process that guards it, and guard.py, which starts that again
remote/             tensors of another host
fabric/             ways to reach a peer's memory with the same few verbs
inbox/              messages that are not lost, over any fabric
"""
