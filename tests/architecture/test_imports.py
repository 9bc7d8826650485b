from tests.architecture.imports import PACKAGE, REPOSITORY, imports_of, module_of, room_of

SOURCE = """
import torch
from recsys_tasks.lake import tables, Nothing
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import polars
def body():
    import faiss
    class Inner:
        from recsys_tasks import settings
try:
    import numpy
except ImportError:
    pass
"""


def test_every_import_is_seen_and_lazy_ones_are_told_apart(tmp_path):
    file = tmp_path / "source.py"
    file.write_text(SOURCE)
    found = {(found.target, found.lazy) for found in imports_of(file)}
    assert found == {
        ("torch", False),
        ("recsys_tasks.lake.tables", False),
        ("recsys_tasks.lake", False),
        ("typing", False),
        ("polars", True),
        ("faiss", True),
        ("recsys_tasks.settings", True),
        ("numpy", False),
    }


def test_rooms_and_modules_are_named_as_in_the_house():
    assert module_of(REPOSITORY / PACKAGE / "lake" / "__init__.py") == "recsys_tasks.lake"
    assert room_of("recsys_tasks.lake.tables") == "lake"
    assert room_of("recsys_tasks") == ""
