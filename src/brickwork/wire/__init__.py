"""Stage-plane messages between a coordinator and its executors, and their framing. Knows no policy."""
