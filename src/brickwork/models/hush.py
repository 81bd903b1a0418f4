"""What libraries say at import about packages that nothing here uses, kept out of every process's standard error.

Where torchao is installed, for models with 8-bit weights, Diffusers imports it whatever is loaded, and three loggers
speak of kernels for GPUs that are not there and of file formats that are not read. Exactly those sentences are dropped;
all else that these loggers say is heard.
"""

import logging

SENTENCES = {
    "torchao": "Failed to load ",  # an extension for a GPU or a Python that this process does not have
    "torch.utils._pytree": "%s is an Enum subclass and is now natively supported",  # torchao calls what torch retires
    "diffusers.quantizers.torchao.torchao_quantizer": "Unable to import `torchao` Tensor objects",
}
"""By logger, how the format of the sentence begins."""


def hush() -> None:
    """To be called before the first import of Diffusers."""
    for name, beginning in SENTENCES.items():
        logging.getLogger(name).addFilter(_Without(beginning))


class _Without(logging.Filter):
    def __init__(self, beginning: str):
        super().__init__()
        self._beginning = beginning

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(self._beginning)
