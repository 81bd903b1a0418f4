"""Stable Diffusion XL and its refiner: `family` declares their nodes, `nodes` joins their texts, `models/unet` runs."""
