r"""
### Nightly recommendations

Turns one day of a shop's log into the lists its shoppers see next morning.

**What it makes.** The day's events and the catalogue in the lake, pairs, an encoder (weekly), towers, a ranker
(weekly), an index, the gate's decision, and one generation of lists in the serving database.

**A new model makes lists only if the gate accepts it** on the last days, which it never saw. Otherwise the
champion makes tonight's lists and the run goes on; that is no failure. Where `towers.refit_epochs` asks for it, an
accepted model's towers learn on to the night's end before they make the lists; the gate never compares what did.

**When a step fails**, yesterday's lists stay live. Errors in the data or in shop.yaml are not retried: the same
input gives the same error. A source or database that does not answer is retried. Fix the cause, then clear the
failed task: earlier work is reused.

A failed night does not hold up the next one: its day is a gap in the histories until its task is cleared or
`recsys_ingest` loads the day.

**Running it again** changes nothing that is unchanged: an artefact with the same fingerprint is reused, another
one is laid beside it.

**By hand.** Press *Trigger*, fill in `night`. `from_step` starts in the middle. `publish: dry_run` makes lists that
readers do not see. To go back to the lists before, use `recsys_rollback`.

**Twice at once** (the schedule and the button, or a retry beside a task that did not die): whoever comes second waits
for the first, step by step, and uses what it made. Each publishes the lists that its own `recommend` made. Where a
late row or an accepted model came in between the two, the first stops and says so, and the second goes on.

**Backfill.** One night after the other, so that each may start from the model of the night before (a backfill of
several nights at once is refused):

    make airflow ARGS="backfill create --dag-id recsys_nightly --from-date 2017-11-01 --to-date 2017-11-15 \
        --max-active-runs 1 --reprocess-behavior failed"

`--to-date D` is midnight of D: with a schedule later in the day, night D itself is left out. Give the day after. The
lists are loaded and audited, but readers do not see them unless the form says so (`publish: live`); those of a night
older than the live one never replace it. Then `recsys_measure` scores each night on the days that followed it.
"""

from airflow.sdk import chain, dag
from common.defaults import MODEL_TASK, TASK_DEFAULTS
from common.form import FROM_STEP, NIGHT, PUBLISH, START, TOP_K
from common.schedule import shop_schedule
from common.steps import step

SCHEDULE = shop_schedule()


@dag(
    schedule=SCHEDULE.timetable,
    start_date=SCHEDULE.first,
    catchup=False,
    max_active_runs=1,  # two nights would race for the one pointer that readers follow
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["recsys", "night"],
    params={"night": NIGHT, "from_step": FROM_STEP, "top_k": TOP_K, "publish": PUBLISH, "start": START},
)
def recsys_nightly() -> None:
    chain(
        # A night without events must leave no trace, so the catalogue waits until there are some.
        step("extract_events"),
        step("extract_items"),
        step("check_data"),
        step("build_pairs"),
        # Nothing is trained on pairs that the audit of time has not seen.
        step("audit_time"),
        step("finetune_encoder", **MODEL_TASK),
        step("encode_items", **MODEL_TASK),
        step("train_towers", **MODEL_TASK),
        step("train_ranker", **MODEL_TASK),
        step("build_index"),
        step("evaluate"),
        # The gate decides whose model makes the lists: between it and them only what it accepted may learn on.
        step("gate"),
        step("refit_towers", **MODEL_TASK),
        step("recommend"),
        step("publish"),
        step("report"),
    )


recsys_nightly()
