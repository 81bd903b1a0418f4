"""Nouns that every layer shares. Standard library only, so that any room may import it."""
