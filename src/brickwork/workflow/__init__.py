"""What a workflow author writes. Importable without torch; `brickwork/__init__.py` offers the public names."""
