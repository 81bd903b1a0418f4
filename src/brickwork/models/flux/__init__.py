"""Flux (dev and schnell): `family` declares its nodes, `nodes` computes them."""
