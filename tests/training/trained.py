"""One training by as many processes as are asked for."""

from pathlib import Path
from types import ModuleType

from recsys_tasks.training.launch import launch


def trained(module: ModuleType, folder: Path, processes: int) -> None:
    """Several under torchrun, as a night starts them; one is this process, which has loaded everything already."""
    if processes == 1:
        module.main(folder)
    else:
        launch(module.__name__, folder, processes)
