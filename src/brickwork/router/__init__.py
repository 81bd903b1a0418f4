"""Spreads requests over workflow sets. The decision is pure; drivers bring the summaries."""
