"""
What a pair of texts teaches: every contrastive objective by name, over one batch and one contract.

Letters: B pairs, N further negatives, C candidates of an anchor, Q places in a queue, D dimensions. Masks are
boolean; a masked candidate takes no part at all. ``own_BC`` is true at the one candidate of each row that is its
positive. docs/objectives.md compares them.
"""
