"""Which code decides what an artefact holds: part of its fingerprint, so changed code never finds an old result."""

# What every step that reads the lake rests on: which day an event falls on, and what a night may see.
COMMON = ("calendar", "lake", "schema")

# What turns a model into lists: part of everything made of lists.
LIST_ROOMS = ("recommend", "index", "model", *COMMON, "steps/champion")

# What makes a purchase classifier.
CLASSIFIER_ROOMS = (
    *COMMON,
    "model/classifier",
    "model/encoder",
    "model/purchase",
    "steps/fit_classifier",
    "training/checkpoints",
    "training/classifier",
    "training/classifier_data",
    "training/classifier_job",
    "training/encoder_data",
    "training/minimise",
    "training/optimisation",
    "training/processes",
)

# What fits towers; the rest of ``training`` is the encoder's and the classifier's.
TOWER_ROOMS = (
    *COMMON,
    "model",
    "training/history_views",
    "training/lazy_adam",
    "training/tower_catalogue",
    "training/tower_data",
    "training/tower_export",
    "training/tower_fit",
    "training/tower_near",
    "training/tower_net",
    "training/tower_start",
    "training/towers",
)

RANKER_ROOMS = (
    *LIST_ROOMS,
    *TOWER_ROOMS,
    *CLASSIFIER_ROOMS,
    "pairs",
    "steps/standing_ranker",
    "steps/ranker_cuts",
    "steps/train_ranker",
)
