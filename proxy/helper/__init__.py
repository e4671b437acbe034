"""A process beside the worker, which looks at the pairs that would hold up the worker's requests."""
