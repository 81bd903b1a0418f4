"""How long things take: a table by (work, shape, rows, device), its files, and its correction by what is measured."""
