"""Encoder, whitening, towers: the mathematics, without files of the night."""
