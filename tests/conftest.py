"""What every suite shares: no test reaches a model hub; Hypothesis sets no deadline, for machines are loaded."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub, which reads it once

from hypothesis import settings

settings.register_profile("brickwork", deadline=None, print_blob=True)
settings.load_profile("brickwork")
