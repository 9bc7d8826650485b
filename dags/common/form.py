"""
The fields of the forms, each with a title, a sentence and bounds; Airflow refuses a value outside them.

A title that is not the field's name ends with it: docs, errors and a run's conf know fields by their names.
"""

from airflow.sdk import Param

from recsys_tasks.steps import NIGHT_STEPS

NIGHT = Param(
    None,
    title="Night",
    description=(
        "Business date to work on, YYYY-MM-DD, in the shop's zone. "
        "Empty: the day before the schedule's latest tick. Refused in a backfill, whose runs have their own day."
    ),
    type=["null", "string"],
    format="date",
)

FROM = Param(
    None,
    title="From",
    description=(
        "First day of a range, YYYY-MM-DD, in the shop's zone. Needs To. "
        "Empty: the run's own day, unless another field names one."
    ),
    type=["null", "string"],
    format="date",
)

TO = Param(
    None,
    title="To",
    description="Last day of the range, itself included; it must have ended.",
    type=["null", "string"],
    format="date",
)

FROM_STEP = Param(
    None,
    title="Start from step (from_step)",
    description=(
        "Earlier steps are not run; what they made for this night when they last ran is used as it is. "
        "Empty: run all of them (unchanged work is reused anyway)."
    ),
    type=["null", "string"],
    enum=[None, *NIGHT_STEPS],
    values_display={"null": "the beginning"},
)

TOP_K = Param(
    None,
    title="List length (top_k)",
    description="Items per shopper, 1 to 500. Empty: what shop.yaml says.",
    type=["null", "integer"],
    minimum=1,
    maximum=500,
)

PUBLISH = Param(
    "auto",
    title="Publish",
    description=(
        "auto: live, but a backfill is a dry run. live: readers see the lists once they pass the audit, those of "
        "a backfill too. dry_run: lists are loaded and audited, readers keep the old ones. Whatever is chosen, "
        "lists of a night older than the live one do not replace it; recsys_rollback does that."
    ),
    type="string",
    enum=["auto", "live", "dry_run"],
)

START = Param(
    "warm",
    title="Training starts (start)",
    description=(
        "warm: from the newest accepted model of an earlier night. scratch: from the pretrained encoder and new towers."
    ),
    type="string",
    enum=["warm", "scratch"],
)
