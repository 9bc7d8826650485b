"""
Candidate sources: each proposes items for shoppers, with a score of its own.

One contract: ``propose(shoppers, k, new_only) -> Proposals``. Only allowed items; at most ``k`` a shopper; with
``new_only`` none that the shopper has an event with; ordered by shopper, then score, then item_id.
"""

# A row of a list carries the first of these that proposed it.
SOURCES = ("repeat", "retrieval", "popular")
