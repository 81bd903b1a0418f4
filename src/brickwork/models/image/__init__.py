"""What image families share when they declare nodes: latent space, text encoders, sampler, controls, adapters.

A family is `<family>/family.py` on top of `image.family.ImageFamily`; nothing here imports torch.
"""
