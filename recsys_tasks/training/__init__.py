"""Fitting the models, and launching it as a process group of its own."""
