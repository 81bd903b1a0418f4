"""Image upscalers: `family` declares the node, `nodes` computes it."""
