"""Measurements of the product against public peers, each reproducible by one command."""
