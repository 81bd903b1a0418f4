"""Stable Diffusion 1.5 (and what shares its parts, 1.1 to 1.5 and its inpainting model): `family` declares its nodes.

They are computed in `models/unet`.
"""
