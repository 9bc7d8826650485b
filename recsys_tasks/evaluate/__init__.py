"""Metrics, paired intervals, the window protocol and the gates."""
