"""How many executors the fleet has, and which workflow set owns each. The decision is pure; drivers carry it out."""
