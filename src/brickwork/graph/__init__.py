"""The immutable typed graph of a workflow: what runs, on which model, and what flows between."""
