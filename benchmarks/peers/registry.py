"""Every peer by the name it has in a table; a new instance for each fit."""

from benchmarks.peers.base import Maker
from benchmarks.peers.ease import Ease, EaseDecayed
from benchmarks.peers.ease_popularity import EasePopularity
from benchmarks.peers.implicit_peers import Als, Bpr
from benchmarks.peers.knn import ItemKnn
from benchmarks.peers.popular import Popular
from benchmarks.peers.sequences import Esasrec, Sasrec

PEERS: dict[str, Maker] = {
    "popular": Popular,
    "popular-last-10%": lambda: Popular(share=0.1),
    "item-knn": ItemKnn,
    "ease": Ease,
    "ease-decayed": EaseDecayed,
    "ease+popularity": EasePopularity,
    "als": Als,
    "bpr": Bpr,
    "sasrec": Sasrec,
    "esasrec": Esasrec,
}
