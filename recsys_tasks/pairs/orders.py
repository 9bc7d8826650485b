"""The total order each frame of the artefact ``pairs`` stands in; the columns are its key as well."""

PAIR_ORDER = ("occurred_at", "user_id", "anchor_id", "positive_id")
NEGATIVE_ORDER = ("user_id", "anchor_id", "negative_id")
EXAMPLE_ORDER = ("history_until", "user_id")
