"""
Everything a shop may say, in one typed tree: ``shop.yaml``, then the environment.

``RECSYS_SHOP`` names the file; ``RECSYS_TOWERS__EPOCHS=3`` overrides ``towers: {epochs: 3}``. An unknown key or
an impossible value stops the run at once with the file, the line and what was expected. Only ``steps/`` and the
command line load the tree; every other module is handed the section it needs.
"""

from recsys_tasks.settings.classifier import ClassifierSettings
from recsys_tasks.settings.encoder import EncoderSettings
from recsys_tasks.settings.keeping import CheckSettings, LakeSettings, StoreSettings
from recsys_tasks.settings.lists import (
    CANDIDATE_SOURCES,
    CandidateSource,
    FeatureGroup,
    GateSettings,
    RankerSettings,
    RuleSettings,
)
from recsys_tasks.settings.load import load_settings, shop_file
from recsys_tasks.settings.pairs import NegativeShares, PairSettings
from recsys_tasks.settings.shop import Settings
from recsys_tasks.settings.sources import (
    EVENT_COLUMNS,
    ITEM_COLUMNS,
    EventSourceSettings,
    ItemSourceSettings,
    SourceSettings,
    SourcesSettings,
)
from recsys_tasks.settings.towers import TowerSettings
from recsys_tasks.settings.variables import SHOP_VARIABLE

__all__ = [
    "CANDIDATE_SOURCES",
    "EVENT_COLUMNS",
    "ITEM_COLUMNS",
    "SHOP_VARIABLE",
    "CandidateSource",
    "CheckSettings",
    "ClassifierSettings",
    "EncoderSettings",
    "EventSourceSettings",
    "FeatureGroup",
    "GateSettings",
    "ItemSourceSettings",
    "LakeSettings",
    "NegativeShares",
    "PairSettings",
    "RankerSettings",
    "RuleSettings",
    "Settings",
    "SourceSettings",
    "SourcesSettings",
    "StoreSettings",
    "TowerSettings",
    "load_settings",
    "shop_file",
]
