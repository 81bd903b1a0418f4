"""Qwen-Image: `family` declares its nodes, `nodes` computes them."""
