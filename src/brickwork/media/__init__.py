"""Files of clips: what a workflow's video becomes outside of tensors. Knows neither torch nor requests."""
