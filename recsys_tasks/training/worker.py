"""The door of a training process: ``torchrun -m MODULE FOLDER`` comes in here."""

import logging
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from recsys_tasks.errors import RecsysError
from recsys_tasks.training.parent import die_with_parent

MARK = "WARNING: "


class Marked(logging.Formatter):
    """Each line of a warning begins with MARK, so that ``launch`` logs it as one; an error ends the training anyway."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return textwrap.indent(text, MARK) if record.levelno == logging.WARNING else text


def work(main: Callable[[Path], None]) -> None:
    """
    Run ``main`` on the folder of the command line, and end with the process that started us.

    The first process logs. An error of ours is told in its own words, without a trace; any other keeps its trace.
    """
    die_with_parent()
    is_first = os.environ.get("RANK", "0") == "0"
    level = logging.INFO if is_first else logging.ERROR
    door = logging.StreamHandler(sys.stdout)
    door.setFormatter(Marked("%(message)s"))
    logging.basicConfig(level=level, handlers=[door])
    try:
        main(Path(sys.argv[1]))
    except RecsysError as error:
        logging.getLogger("finetune").error("%s: %s", type(error).__name__, error)
        sys.exit(error.exit_code)
