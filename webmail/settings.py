"""Settings of the web and worker processes, read from the environment.

Every variable may also be given as ``NAME_FILE``, the path of a file that holds the value.
None of them is, or leads to, a user's private key: those live in the crypto agent.
"""

from pathlib import Path
from urllib.parse import urlsplit

import environ

env = environ.FileAwareEnv()

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env("WAXWING_DATA_DIR", default=str(BASE_DIR / ".run" / "data")))

DEBUG = env.bool("WAXWING_DEBUG", default=False)
SECRET_KEY = env("WAXWING_SECRET_KEY")

#: Where people reach this installation: scheme, host and port, without a path.
PUBLIC_URL = env("WAXWING_PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname or ""
#: The domain of the mail addresses that this installation gives to DIDs.
MAIL_DOMAIN = env("WAXWING_MAIL_DOMAIN", default=PUBLIC_HOST)
ALLOWED_HOSTS = env.list("WAXWING_ALLOWED_HOSTS", default=[PUBLIC_HOST])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE = PUBLIC_URL.startswith("https://")

#: "live" speaks https to public addresses only; "loopback" also allows http and this machine's own
#: addresses, for the local network of `make demo` and the tests.
NETWORK = env("WAXWING_NETWORK", default="live")
PLC_URL = env("WAXWING_PLC_URL", default="https://plc.directory").rstrip("/")
#: Asked by XRPC for handles; empty means DNS and https well-known, as atproto prescribes.
HANDLE_RESOLVER_URL = env("WAXWING_HANDLE_RESOLVER_URL", default="").rstrip("/")
#: Asked for public profiles (names and avatars); empty means the person's own PDS only.
PROFILE_URL = env("WAXWING_PROFILE_URL", default="").rstrip("/")

#: Encrypts OAuth tokens at rest. A url-safe base64 key of 32 bytes; several, separated by commas,
#: while one is being replaced (the first encrypts).
TOKEN_KEYS = env.list("WAXWING_TOKEN_KEYS")
#: PEM file of the key that identifies a confidential OAuth client (https installations).
OAUTH_CLIENT_KEY_FILE = env("WAXWING_OAUTH_CLIENT_KEY_PATH", default="")

AGENT_URL = env("WAXWING_AGENT_URL", default="http://127.0.0.1:8700").rstrip("/")
#: Signs this installation's short-lived tokens for the agent.
AGENT_TOKEN_SECRET = env("WAXWING_AGENT_TOKEN_SECRET")
#: Who this process is to the agent, which allows each a set of purposes: "web" or "worker".
AGENT_CALLER = env("WAXWING_AGENT_CALLER", default="web")

#: maildir:///path, imap://host:port or imaps://host:port
MAILBOX_URL = env("WAXWING_MAILBOX_URL", default=f"maildir://{DATA_DIR / 'mail'}")
#: PEM file of the key that signs one short-lived mailbox token per DID (IMAP only).
MAIL_TOKEN_KEY_FILE = env("WAXWING_MAIL_TOKEN_KEY_PATH", default="")
#: smtp://host:port of the outgoing mail server; empty means straight to the recipient's.
SMTP_RELAY_URL = env("WAXWING_SMTP_RELAY_URL", default="")
#: Where the LMTP or SMTP ingress listens: lmtp://host:port or smtp://host:port.
INGRESS_URL = env("WAXWING_INGRESS_URL", default="lmtp://127.0.0.1:8024")
#: smtp://host:port at which others reach this installation; empty publishes no SMTP route.
SMTP_PUBLIC_URL = env("WAXWING_SMTP_PUBLIC_URL", default="")
#: What one mailbox accepts in an hour.
INGRESS_ENVELOPES_PER_HOUR = env.int("WAXWING_INGRESS_ENVELOPES_PER_HOUR", default=600)
INGRESS_BYTES_PER_HOUR = env.int("WAXWING_INGRESS_BYTES_PER_HOUR", default=20_000_000)

#: Seconds for which a worker has a delivery to itself; after a crash it is tried again then.
DELIVERY_LEASE_SECONDS = env.int("WAXWING_DELIVERY_LEASE_SECONDS", default=60)
#: The gaps in seconds between tries of a delivery, and of a check of who signed; the last one repeats.
DELIVERY_GAPS_SECONDS = env.list(
    "WAXWING_DELIVERY_GAPS_SECONDS", cast=int, default=[15, 60, 300, 900, 3600, 10_800, 21_600]
)
SIGNER_CHECK_GAPS_SECONDS = env.list(
    "WAXWING_SIGNER_CHECK_GAPS_SECONDS", cast=int, default=[60, 300, 1800, 10_800]
)
#: Seconds between the scheduler's rounds: unfinished work, and the safety net under the pull.
RECONCILE_SECONDS = env.float("WAXWING_RECONCILE_SECONDS", default=10)
PULL_SECONDS = env.float("WAXWING_PULL_SECONDS", default=60)
#: Work younger than this is still in the hands of the task that it was given to.
UNFINISHED_SECONDS = env.float("WAXWING_UNFINISHED_SECONDS", default=10)
#: Seconds after which the lock of a worker that died while pulling is free again.
PULL_LOCK_SECONDS = env.int("WAXWING_PULL_LOCK_SECONDS", default=10)

REDIS_URL = env("WAXWING_REDIS_URL", default="redis://127.0.0.1:6379/0")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "accounts",
    "webmail",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "webmail.security.SecurityHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.sessions.SignedInAccount",
    "webmail.time_zone.BrowserTimeZone",
]

ROOT_URLCONF = "webmail.urls"
ASGI_APPLICATION = "webmail.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": env.db_url("WAXWING_DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'webmail.sqlite3'}")
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
# Lax, so that the redirect back from the person's own server still finds the session.
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
# "no-referrer" would make browsers send "Origin: null", which the CSRF check must refuse.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600}
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": env("WAXWING_LOG_LEVEL", default="INFO")},
    "loggers": {"httpx": {"level": "WARNING"}, "httpcore": {"level": "WARNING"}},
}
