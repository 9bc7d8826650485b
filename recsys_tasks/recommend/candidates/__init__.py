"""
Candidate sources: each proposes items for shoppers, with a score of its own.

One contract: ``propose(batch, k, new_only) -> Proposals``. Only allowed items; at most ``k`` a shopper; with
``new_only`` none that the shopper has an event with; ordered by shopper, then score, then item_id; as of the
batch's snapshot, so that what comes later changes nothing.
"""

from recsys_tasks.settings import CANDIDATE_SOURCES

# A row of a list carries the first of these that proposed it.
SOURCES: tuple[str, ...] = CANDIDATE_SOURCES
# Those that look at the whole shop: a list of nothing else owes nothing to what the shopper did.
SHOPWIDE = ("popular", "popular_28", "lasting")
