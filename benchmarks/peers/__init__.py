"""Public recommenders behind one contract, for the benchmarks (see base.py)."""
