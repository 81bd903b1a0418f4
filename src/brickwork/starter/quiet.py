"""Keep the libraries' own progress bars and hints out of the commands' output."""


def quiet() -> None:
    """Call before diffusers is imported: it hints about torchvision, which nothing here uses, at import."""
    from transformers.utils import logging

    import brickwork.models  # noqa: F401  silences what Diffusers says of packages that nothing here uses

    logging.set_verbosity_error()
    logging.disable_progress_bar()
