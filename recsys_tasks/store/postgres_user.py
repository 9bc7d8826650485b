"""
PostgreSQL refuses to run as root; there the embedded server runs as a system user of its own.

That user must pass through the folders above its data and its programs. A folder it could not pass gets the right to
be passed through by others (o+x), never to be listed or read.
"""

import logging
import os
import pwd
import stat
import subprocess
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "pgserver"
OWNERS_READ_AND_RUN = stat.S_IRUSR | stat.S_IXUSR


def server_user() -> str | None:
    """Whom the server runs as under root, made where it is missing; None elsewhere: whoever starts it."""
    if os.getuid() != 0:
        return None
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        log.warning("making the system user %s: PostgreSQL refuses to run as root", NAME)
        command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", NAME]
        subprocess.run(command, check=True, capture_output=True)
    return NAME


def give(path: Path, user: str) -> None:
    """Make one file or folder the user's own."""
    owner = pwd.getpwnam(user)
    os.chown(path, owner.pw_uid, owner.pw_gid)


def let_through(path: Path) -> None:
    """Let other users pass through every folder above ``path``; says which folders that changes."""
    for folder in path.resolve().parents:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            log.warning(
                "%s: other users may pass through it from now on (not list it), for the user %s", folder, NAME
            )


def let_run(programs: Path) -> None:
    """Let other users run an installed program; one installed under a strict umask is its owner's alone."""
    let_through(programs)
    for path in (programs, *programs.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            wanted = mode | (mode & OWNERS_READ_AND_RUN) >> 6
            if wanted != mode:
                path.chmod(wanted)
