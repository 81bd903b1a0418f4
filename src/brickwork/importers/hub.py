"""A model hub's repository as a local directory: configurations, tokenizers and safetensors, nothing that runs code."""

from pathlib import Path

from brickwork.core.errors import ModelError

PATTERNS = ("*.json", "*.safetensors", "*/*.json", "*/*.safetensors", "*/*.txt", "*/*.model")
"""What a Diffusers directory needs. Pickled weights (.bin, .ckpt, .pt) are never fetched."""


def snapshot(repository: str) -> Path:
    """The directory of a repository such as "stabilityai/stable-diffusion-3-medium-diffusers".

    What the local cache has is not fetched again; without a network (or with HF_HUB_OFFLINE=1) only the cache is asked.

    raises    ModelError with the remedy, when it can't be had
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, allow_patterns=list(PATTERNS)))
    except HFValidationError as error:
        raise ModelError(f"{repository} is neither a directory nor a hub id: {error}") from None
    except LocalEntryNotFoundError:
        raise ModelError(
            f"{repository} is no directory here, and the model hub can't be reached. Give the path of a Diffusers "
            "directory, or fetch it where a network is."
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"{repository} can't be fetched from the model hub: {str(error).splitlines()[0]}") from None
