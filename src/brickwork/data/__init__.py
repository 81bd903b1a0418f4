"""The data engine: tensors in shared memory, found by handle, kept alive by leases. Knows no torch.

keeper.py   makes a host's arena, adopts results, reclaims what a dead process held
tensors.py  what everybody uses: put, allocate, get, release
blocks.py   the word of a block: who holds it, and which life of the block it is
arena.py    the shared memory itself, mapped once for reading and once for writing
layout.py   where everything lies
"""
