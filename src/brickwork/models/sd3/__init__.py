"""Stable Diffusion 3: `family` declares its nodes, `nodes` computes them."""
