"""One process per device: loads models, runs batches, reports. Decides nothing that control could decide."""
