"""Where the embedded set-up keeps its things, and the secrets it makes once."""

import json
import os
import secrets
import socket
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
FIRST_PORT = 8080
USER = "admin"


@dataclass(frozen=True)
class Places:
    """The embedded Airflow's home, ``.airflow`` in the checkout."""

    home: Path = CHECKOUT / ".airflow"

    @property
    def passwords(self) -> Path:
        """Airflow's own format: a JSON object of user and password."""
        return self.home / "passwords.json"

    @property
    def logs(self) -> Path:
        """One log file per server."""
        return self.home / "servers"

    @property
    def shop(self) -> Path:
        """Names the shop.yaml that the servers were started for."""
        return self.home / "shop"

    @property
    def own_postgres(self) -> Path:
        """
        Airflow's PostgreSQL where the shop has a database elsewhere.

        Beside the home, not in it: under root PostgreSQL's user must pass through the folders above, and the home,
        with the keys and the task logs, stays closed to everybody else.
        """
        return self.home.with_name(f"{self.home.name}-postgres") / "postgres"

    @property
    def postgres(self) -> Path:
        """Names the folder of the PostgreSQL that Airflow uses, so that it can be stopped without a shop.yaml."""
        return self.home / "postgres_folder"

    def served(self) -> Path | None:
        """The shop.yaml that the servers were last started for."""
        return _noted(self.shop)

    def used_postgres(self) -> Path | None:
        """The folder of the PostgreSQL that Airflow last used."""
        return _noted(self.postgres)

    def pid_file(self, server: str) -> Path:
        return self.home / f"{server}.pid"

    def create(self) -> None:
        """Make the home, its keys and its password, readable by their owner only."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.home.chmod(0o700)
        self.logs.mkdir(exist_ok=True)
        self.keys()
        self.password()

    def keys(self) -> dict[str, str]:
        """Keys that every server and task must share; made on first use."""
        return self._once(
            self.home / "keys.json",
            {
                "fernet": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "jwt": secrets.token_urlsafe(48),
                "api": secrets.token_urlsafe(32),
            },
        )

    def password(self) -> str:
        """The password of the one user; made on first use."""
        return self._once(self.passwords, {USER: secrets.token_urlsafe(12)})[USER]

    def port(self) -> int:
        """The API server's port: the remembered one while it is free, else the next free one, remembered."""
        file = self.home / "port"
        wanted = int(file.read_text(encoding="utf-8")) if file.is_file() else FIRST_PORT
        chosen = next(port for port in range(wanted, 65536) if is_free(port))
        file.write_text(str(chosen), encoding="utf-8")
        return chosen

    def running_port(self) -> int:
        """The port that the servers were started with."""
        file = self.home / "port"
        return int(file.read_text(encoding="utf-8")) if file.is_file() else FIRST_PORT

    def _once(self, file: Path, fresh: dict[str, str]) -> dict[str, str]:
        if not file.is_file():
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                json.dump(fresh, stream)
        kept: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return kept


def _noted(file: Path) -> Path | None:
    return Path(file.read_text(encoding="utf-8")) if file.is_file() else None


def is_free(port: int) -> bool:
    """Whether nobody listens on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
