"""The parts of ``benchmarks.leave_one_out``."""
