"""How fast lists go live, against row by row and against an upsert; ``python -m benchmarks.publish``."""
