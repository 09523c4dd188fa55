"""A PostgreSQL of the test run's own, quick because nothing in it has to survive."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT

import psycopg
from psycopg import sql

from demo.processes import ProcessSpec, inherited_environment, start
from tests.services.programs import find_postgres, need
from tests.services.users import unprivileged_user


def new_database(server: str, name: str) -> str:
    """An empty database on the server with the URL `server`; its own URL."""
    with psycopg.connect(server, autocommit=True) as connection:
        # By files, as before PostgreSQL 15: the other way writes all of it into the log of changes as well.
        copied = sql.SQL("STRATEGY file_copy" if connection.info.server_version >= 150_000 else "")
        connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), copied))
    return server.removesuffix("/postgres") + f"/{name}"


@contextmanager
def postgres_server(port: int) -> Iterator[str]:
    """Runs a server on the loopback address; yields the URL of its `postgres` database."""
    need("PostgreSQL")
    programs = find_postgres()
    assert programs
    user = unprivileged_user("postgres")
    directory = Path(tempfile.mkdtemp(prefix="waxwing-postgres-"))
    if user:
        shutil.chown(directory, user)
    data = directory / "data"
    try:
        subprocess.run(
            [
                programs / "initdb",
                "-D",
                data,
                "-U",
                "waxwing",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd=directory,
            env={**inherited_environment(), "LC_ALL": "C.UTF-8"},
        )
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        server = start(
            ProcessSpec(
                name="PostgreSQL",
                command=(
                    str(programs / "postgres"),
                    *("-D", str(data), "-p", str(port)),
                    *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
                ),
                environment=inherited_environment(),
                directory=directory,
                is_ready=lambda: _answers(port),
                user=user,
                # "Fast": ends the connections that are still open.
                stop_signal=SIGINT,
            ),
            directory / "log",
        )
        try:
            server.wait_until_ready()
            yield f"postgres://waxwing@127.0.0.1:{port}/postgres"
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        psycopg.connect(f"host=127.0.0.1 port={port} user=waxwing dbname=postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
