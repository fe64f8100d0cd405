"""Wavefunction datasets, phase classifiers, their compression and what the compressed weights know."""
