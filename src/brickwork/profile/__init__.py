"""How long work takes and how much memory it needs, as data with sources."""
