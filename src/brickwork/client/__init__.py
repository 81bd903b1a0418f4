"""Talking to a brickwork server from Python: `bw.Client(url)` and `bw.AsyncClient(url)`."""
