"""One module a task, named as the task: open, call, write. The only place that loads settings."""

# The night, in order. Task, module, command and artefact share these names.
NIGHT_STEPS = (
    "extract_events",
    "extract_items",
    "check_data",
    "build_pairs",
    "audit_time",
    "finetune_encoder",
    "encode_items",
    "train_towers",
    "train_ranker",
    "build_index",
    "evaluate",
    "gate",
    "refit_towers",
    "recommend",
    "publish",
    "report",
)
