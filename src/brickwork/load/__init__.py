"""Offering load, on a real server or a simulated cluster, and what the answers amount to. Knows no policy, no torch."""
