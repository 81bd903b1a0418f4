"""The model families: what their nodes are (torch-free declarations) and what they compute (torch).

`<family>/family.py` is what workflows call; it must import without torch. Everything else here may need it.
"""

from brickwork.models.hush import hush

hush()
