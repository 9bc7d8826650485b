"""Which code decides what an artefact holds: part of its fingerprint, so changed code never finds an old result."""

# What every step that reads the lake rests on: which day an event falls on, and what a night may see.
COMMON = ("calendar", "lake", "schema")

# What turns a model into lists; an earlier night's sees tonight's texts by its own encoder.
ASKED = (
    "recommend",
    "index",
    "steps/champion",
    "steps/encode_items",
    "steps/encoder_files",
    "steps/encoder_vectors",
)

# Part of everything made of lists; ``model`` as a whole, for a model may hold a classifier that is asked.
LIST_ROOMS = (*ASKED, "model", *COMMON)

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

# What fits towers; the rest of ``model`` and ``training`` is the encoder's and the classifier's.
TOWER_ROOMS = (
    *COMMON,
    "model/arrays",
    "model/augment",
    "model/causal",
    "model/causal_users",
    "model/cold",
    "model/factors",
    "model/histories",
    "model/launches",
    "model/losses",
    "model/neighbours",
    "model/one_blas_thread",
    "model/popularity",
    "model/products",
    "model/similarity",
    "model/tower_parts",
    "model/towers",
    "model/vectors",
    "training/history_views",
    "training/lazy_adam",
    "training/row_sums",
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
    *ASKED,
    *TOWER_ROOMS,
    "pairs",
    "steps/examples_before",
    "steps/standing_ranker",
    "steps/ranker_cuts",
    "steps/ranker_plan",
    "steps/ranker_proof",
    "steps/train_ranker",
)


def ranker_rooms(*, classifier: bool) -> tuple[str, ...]:
    """What fits a ranker: the purchase classifier's code only where it reads one, for a ranker is dear to fit anew."""
    return (*RANKER_ROOMS, *CLASSIFIER_ROOMS) if classifier else RANKER_ROOMS
