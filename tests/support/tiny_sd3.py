"""The tiny SD3 directory under the name that most suites know it by; see `support/tiny/sd3.py`."""

from support.tiny.parts import MAX_WORDS, WORDS
from support.tiny.parts import redrawn as _redraw_zeros  # noqa: F401
from support.tiny.parts import t5_tokenizer as _t5_tokenizer  # noqa: F401
from support.tiny.sd3 import BORDER
from support.tiny.sd3 import build as build_tiny_sd3

__all__ = ["BORDER", "MAX_WORDS", "WORDS", "build_tiny_sd3"]
