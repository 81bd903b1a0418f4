"""`python -m brickwork.executor CONFIG_JSON`: an executor without a forkserver (start method `spawn`)."""

import json
import sys

from brickwork.executor.main import main

main(json.loads(sys.argv[1]))
