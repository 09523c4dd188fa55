"""The environment in which both settings modules can be loaded for tests and checks."""

import base64
import secrets
from pathlib import Path


def settings_environment(directory: Path) -> dict[str, str]:
    """WAXWING_* variables with secrets of their own and every file below `directory`.

    The URLs of servers are left at addresses where nothing answers: a test that needs a server asks for its
    fixture, and sets the URL.
    """
    operator_key = directory / "operator-key"
    operator_key.write_bytes(_key())
    operator_key.chmod(0o600)
    agent_token_secret = secrets.token_urlsafe(32)
    return {
        "WAXWING_DATA_DIR": str(directory / "data"),
        "WAXWING_SECRET_KEY": secrets.token_urlsafe(48),
        "WAXWING_TOKEN_KEYS": _key().decode(),
        "WAXWING_AGENT_TOKEN_SECRET": agent_token_secret,
        "WAXWING_PUBLIC_URL": "http://127.0.0.1:8000",
        "WAXWING_MAIL_DOMAIN": "mail.test",
        "WAXWING_NETWORK": "loopback",
        "WAXWING_PLC_URL": "http://127.0.0.1:9",
        "WAXWING_HANDLE_RESOLVER_URL": "http://127.0.0.1:9",
        "WAXWING_AGENT_URL": "http://127.0.0.1:9",
        "WAXWING_REDIS_URL": "redis://127.0.0.1:9/0",
        "WAXWING_MAILBOX_URL": f"maildir://{directory / 'mail'}",
        "WAXWING_DATABASE_URL": "sqlite://:memory:",
        "WAXWING_AGENT_DATA_DIR": str(directory / "agent"),
        "WAXWING_AGENT_SECRET_KEY": secrets.token_urlsafe(48),
        "WAXWING_AGENT_OPERATOR_KEY_PATH": str(operator_key),
        "WAXWING_AGENT_DATABASE_URL": "sqlite://:memory:",
        "WAXWING_LOG_LEVEL": "WARNING",
    }


def _key() -> bytes:
    return base64.urlsafe_b64encode(secrets.token_bytes(32))
