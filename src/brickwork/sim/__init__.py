"""The simulated driver: the same Control among virtual executors, links and clock. Never meets the live drivers."""
