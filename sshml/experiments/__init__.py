"""One file per source: the run, its figures, its claims."""
