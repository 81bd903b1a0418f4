"""The brain: pure decisions. Events in, actions out; no clock, no randomness, no I/O of its own."""
