"""Policies to compare with, each strong in its way, on the same streams and the same service times as control."""
