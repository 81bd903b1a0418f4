"""Tiny random model directories, one file a family, built from configurations alone: nothing is downloaded.

Their classes, layout and files are those of real ones. Parameters that diffusers initialises to zero are drawn anew:
with them at zero, whole branches would contribute nothing and a wrong wiring could go unnoticed.
"""
