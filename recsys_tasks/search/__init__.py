"""
Searching for settings: what may be tried, a study that can be stopped and carried on, and what it found.

Nothing here trains or judges: whoever searches hands in how good a choice is.
"""
