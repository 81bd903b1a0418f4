"""The starter model: a small text-to-image model that is trained, judged and shipped from this folder.

Reading order: `words` (what can be asked), `scenes` (how it looks), `detect` (how a picture is judged),
`build` (the stock classes and their sizes), `train`, `evaluate`. The first three need no torch.
"""
