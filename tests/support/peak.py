"""A fresh process that loads a model and prints what it kept and the largest growth of its anonymous memory, in bytes.

    python -m support.peak t5_text DIRECTORY bfloat16 int8

It is the second load: the first brings imports. Memory is looked at every millisecond, from a second thread.
"""

import ctypes
import gc
import sys
import threading
from pathlib import Path

import torch

from brickwork.core.ids import ModelId
from brickwork.core.model import ModelSpec
from brickwork.models import loaders


def anonymous_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024


def main(kind: str, directory: str, dtype: str, precision: str) -> None:
    torch.set_num_threads(1)
    extras = (("precision", precision),) if precision == "int8" else ()
    spec = ModelSpec(ModelId(kind), kind, directory, dtype, 0, kind, extras)
    loaders._model(spec)  # imports what it needs, which is no part of a load
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    peak, start, is_over = [0], anonymous_bytes(), threading.Event()

    def look() -> None:
        while not is_over.wait(0.001):
            peak[0] = max(peak[0], anonymous_bytes() - start)

    watch = threading.Thread(target=look)
    watch.start()
    model = loaders._model(spec)
    is_over.set()
    watch.join()
    tensors = model.state_dict().values()
    kept = sum(t.qdata.nbytes + t.scale.nbytes if hasattr(t, "qdata") else t.nbytes for t in tensors)
    print(kept, peak[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
