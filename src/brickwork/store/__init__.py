"""What survives a crash: jobs, the run log, and the artifacts that jobs produced. Knows no policy and no torch."""
