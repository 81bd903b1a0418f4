"""One pass a file. The docstring of each shows a graph before and after; tests/passes runs exactly that text."""
