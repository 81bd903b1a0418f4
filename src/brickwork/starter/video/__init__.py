"""The shipped image-to-video model: a photo of one thing and "moves left" become a clip of eight frames.

It has no autoencoder of its own: every frame goes through the one of the text-to-image model, so a cluster that
serves both holds one replica. `clips` (what is drawn), `build` (the models), `train`, `judge`, `evaluate`.
"""
