"""Imports all that an executor needs, so that a forkserver pays for it once. Starts no thread and runs no torch op."""

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its thread pool does not survive a fork
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models come from local directories

import diffusers
import diffusers.models.autoencoders.autoencoder_kl
import diffusers.models.transformers.transformer_sd3
import transformers
import transformers.models.clip.modeling_clip
import transformers.models.clip.tokenization_clip
import transformers.models.t5.modeling_t5
import transformers.models.t5.tokenization_t5

import brickwork.executor.main
import brickwork.executor.runner
import brickwork.models.loaders  # noqa: F401
from brickwork.models.registry import operations

operations()
diffusers.utils.logging.disable_progress_bar()
transformers.utils.logging.disable_progress_bar()
