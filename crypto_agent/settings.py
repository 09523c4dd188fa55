"""Settings of the crypto agent, read from the environment; it shares none with the web process.

Every variable may also be given as ``NAME_FILE``, the path of a file that holds the value.
"""

from pathlib import Path
from urllib.parse import urlsplit

import environ

from crypto_agent.hourly_limits import HourlyLimits
from crypto_agent.public_identity import did_web_of

env = environ.FileAwareEnv()

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env("WAXWING_AGENT_DATA_DIR", default=str(BASE_DIR / ".run" / "agent")))

DEBUG = False
SECRET_KEY = env("WAXWING_AGENT_SECRET_KEY")
ALLOWED_HOSTS = env.list("WAXWING_AGENT_ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])

#: Where the operator's key is: ``file:PATH``, ``passphrase:PATH``, ``passphrase:`` or a PKCS #11 URI (see
#: docs/operator-keys.md). While it is absent the agent is sealed.
_OPERATOR_KEY_PATH = env("WAXWING_AGENT_OPERATOR_KEY_PATH", default="")
OPERATOR_KEY = env(
    "WAXWING_AGENT_OPERATOR_KEY", default=f"file:{_OPERATOR_KEY_PATH}" if _OPERATOR_KEY_PATH else ""
)
#: The Unix socket at which a running agent takes the operator's passphrase.
UNSEAL_SOCKET = DATA_DIR / "unseal.sock"
#: How often the agent destroys prekeys whose time is over.
PREKEY_DESTRUCTION_SECONDS = env.float("WAXWING_AGENT_PREKEY_DESTRUCTION_SECONDS", default=3600.0)
#: After how many days an account gets a new version of its data key, or 0 for never, and how often the agent
#: looks for such accounts.
DATA_KEY_DAYS = env.float("WAXWING_AGENT_DATA_KEY_DAYS", default=365.0)
DATA_KEY_RENEWAL_SECONDS = env.float("WAXWING_AGENT_DATA_KEY_RENEWAL_SECONDS", default=3600.0)
#: Verify the short-lived tokens of this installation's processes. With a secret of its own for each
#: caller, one that is broken into can't pass for the other; by default both have the same.
_SHARED_SECRET = env("WAXWING_AGENT_TOKEN_SECRET", default="")
TOKEN_SECRETS = {
    "web": env("WAXWING_AGENT_WEB_TOKEN_SECRET", default=_SHARED_SECRET),
    "worker": env("WAXWING_AGENT_WORKER_TOKEN_SECRET", default=_SHARED_SECRET),
}
if not all(TOKEN_SECRETS.values()):
    raise environ.ImproperlyConfigured("Set the WAXWING_AGENT_TOKEN_SECRET environment variable")

#: Where apps reach the agent through their users' PDSes, and the did:web that it has there (by default
#: that of the address). Without an address it serves this installation alone.
PUBLIC_URL = env("WAXWING_AGENT_PUBLIC_URL", default="").rstrip("/")
PUBLIC_DID = env("WAXWING_AGENT_PUBLIC_DID", default="") or did_web_of(PUBLIC_URL)
#: For the DID documents of users: as the webmail's WAXWING_PLC_URL and WAXWING_NETWORK.
PLC_URL = env("WAXWING_AGENT_PLC_URL", default="https://plc.directory").rstrip("/")
NETWORK = env("WAXWING_AGENT_NETWORK", default="live")
if PUBLIC_URL and NETWORK != "loopback" and not PUBLIC_URL.startswith("https://"):
    raise environ.ImproperlyConfigured("WAXWING_AGENT_PUBLIC_URL has to begin with https://")
if PUBLIC_URL:
    ALLOWED_HOSTS.append(urlsplit(PUBLIC_URL).hostname or "")

#: How many things may be done with one account's keys in an hour, where it differs from the defaults in
#: hourly_limits.py: ``web.read=2000,worker.open=20000,other=500``.
_LEXICONS = BASE_DIR / "lexicons" / "dev" / "waxwing" / "agent"
_OF_PROCESSES = frozenset(path.stem for path in _LEXICONS.glob("*.json"))
_OF_APPS = frozenset(path.stem for path in _LEXICONS.glob("app/*.json"))
try:
    HOURLY_LIMITS = HourlyLimits(
        env.list("WAXWING_AGENT_HOURLY_LIMITS", default=[]),
        {"web": _OF_PROCESSES, "worker": _OF_PROCESSES, "app": _OF_APPS},
    )
except ValueError as error:
    raise environ.ImproperlyConfigured(f"WAXWING_AGENT_HOURLY_LIMITS: {error}") from error
#: How many messages may be opened and read in an hour, of one account and of all, before an alarm is raised.
ALARM_OPENED_OF_ACCOUNT = env.int("WAXWING_AGENT_ALARM_OPENED_OF_ACCOUNT", default=20_000)
ALARM_OPENED_OF_ALL = env.int("WAXWING_AGENT_ALARM_OPENED_OF_ALL", default=100_000)
#: The origin of the web pages, which passkeys are bound to; without it there are none. Their relying party
#: id is by default the origin's host.
WEB_ORIGIN = env("WAXWING_AGENT_WEB_ORIGIN", default="").rstrip("/")
RP_ID = env("WAXWING_AGENT_RP_ID", default="") or urlsplit(WEB_ORIGIN).hostname or ""

INSTALLED_APPS = ["crypto_agent"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "crypto_agent.urls"
WSGI_APPLICATION = "crypto_agent.wsgi.application"

DATABASES = {
    "default": env.db_url("WAXWING_AGENT_DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'agent.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # Django turns columns into Python's values itself; the driver would look at each column's type with
        # every query.
        "detect_types": 0,
        # secure_delete writes zeros over destroyed keys.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            " PRAGMA secure_delete=ON;"
        ),
    }
DATABASES["default"]["CONN_MAX_AGE"] = 300
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"
#: Batches of a hundred envelopes of 64 KiB in base64, and some room.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": env("WAXWING_LOG_LEVEL", default="INFO")},
}
