"""Positives, negatives and tower examples, in Polars and NumPy."""
