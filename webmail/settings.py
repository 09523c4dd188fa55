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
PUBLIC_URL = env("WAXWING_PUBLIC_URL", default="http://localhost:8000").rstrip("/")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname or ""
#: The domain of the mail addresses that this installation gives to DIDs.
MAIL_DOMAIN = env("WAXWING_MAIL_DOMAIN", default=PUBLIC_HOST)
#: Signing in to an installation at localhost comes back to its number first.
_LOOPBACK_HOSTS = ["127.0.0.1", "[::1]"] if PUBLIC_HOST == "localhost" else []
ALLOWED_HOSTS = env.list("WAXWING_ALLOWED_HOSTS", default=[PUBLIC_HOST, *_LOOPBACK_HOSTS])
#: Another origin of this installation, from which the HTML of ordinary mail is shown; empty shows its words
#: alone. A local installation has one by itself: its number.
FRAME_URL = env(
    "WAXWING_FRAME_URL",
    default=PUBLIC_URL.replace("//localhost", "//127.0.0.1", 1) if PUBLIC_HOST == "localhost" else "",
).rstrip("/")
if FRAME_URL:
    ALLOWED_HOSTS.append(urlsplit(FRAME_URL).hostname or "")
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

#: PEM file of the key (P-256) by which push services know this installation; empty: no notifications.
PUSH_KEY_FILE = env("WAXWING_PUSH_KEY_PATH", default="")

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
#: Where it tells Postfix whose mailbox is full: policy://host:port; empty: nowhere.
INGRESS_POLICY_URL = env("WAXWING_INGRESS_POLICY_URL", default="")
#: smtp://host:port at which others reach this installation; empty publishes no SMTP route.
SMTP_PUBLIC_URL = env("WAXWING_SMTP_PUBLIC_URL", default="")
#: What the DNS should say of mail from here (check_dns): under which name in MAIL_DOMAIN's _domainkey the key
#: is that signs it, and the TXT value there, both empty where nobody signs; and through whom mail leaves, if
#: not by itself.
DKIM_SELECTOR = env("WAXWING_DKIM_SELECTOR", default="")
DKIM_RECORD = env("WAXWING_DKIM_RECORD", default="")
RELAYHOST = env("WAXWING_RELAYHOST", default="")
#: What one mailbox accepts in an hour.
INGRESS_ENVELOPES_PER_HOUR = env.int("WAXWING_INGRESS_ENVELOPES_PER_HOUR", default=600)
INGRESS_BYTES_PER_HOUR = env.int("WAXWING_INGRESS_BYTES_PER_HOUR", default=20_000_000)
#: To how many addresses the answers to ordinary mail go that one account writes within an hour; 0: nobody
#: can answer.
ORDINARY_ANSWERS_PER_HOUR = env.int("WAXWING_ORDINARY_ANSWERS_PER_HOUR", default=30)

#: Where encrypted files are kept, for the web and worker processes alike.
BLOB_DIR = Path(env("WAXWING_BLOB_DIR", default=str(DATA_DIR / "blobs")))
BLOB_DAYS = env.int("WAXWING_BLOB_DAYS", default=30)
#: Octets: of one file, of all that an account has here, of those it adds in a day, and of all accounts'.
BLOB_MAX_BYTES = env.int("WAXWING_BLOB_MAX_BYTES", default=100 * 1024 * 1024)
BLOB_ACCOUNT_BYTES = env.int("WAXWING_BLOB_ACCOUNT_BYTES", default=1024 * 1024 * 1024)
BLOB_DAY_BYTES = env.int("WAXWING_BLOB_DAY_BYTES", default=500 * 1024 * 1024)
BLOB_STORE_BYTES = env.int("WAXWING_BLOB_STORE_BYTES", default=20 * 1024 * 1024 * 1024)
#: Octets of all files that people disclose in reports, which lie in the database; 0: none are taken.
REPORT_FILES_BYTES = env.int("WAXWING_REPORT_FILES_BYTES", default=1024**3)
#: Where long bodies and files rest on their way through the web process, unlinked and encrypted.
SPOOL_DIR = Path(env("WAXWING_SPOOL_DIR", default=str(DATA_DIR / "spool")))
SPOOL_BYTES = env.int("WAXWING_SPOOL_BYTES", default=6 * 1024**3)

#: What strangers and people here may have other servers asked in ten minutes: sign-ins begun from one address
#: and in all, people looked up by one account, and previews of links made for one. What one account may have
#: looked for among the people it knows, which is once for each pause in typing a name. And the pages that may
#: be open, of one account and in all.
SIGN_INS_OF_ONE = env.int("WAXWING_SIGN_INS_OF_ONE", default=30)
SIGN_INS_OF_ALL = env.int("WAXWING_SIGN_INS_OF_ALL", default=1000)
#: And of tries to sign in as an administrator, from one address and for one name.
ADMIN_SIGN_INS_OF_ONE = env.int("WAXWING_ADMIN_SIGN_INS_OF_ONE", default=10)
ADMIN_SIGN_INS_OF_NAME = env.int("WAXWING_ADMIN_SIGN_INS_OF_NAME", default=30)
#: Whether administrators need a passkey beside their password: required, or optional for those who have made
#: none. Passkeys need a name, so they are optional where the pages are at a number.
_AT_A_NUMBER = ":" in PUBLIC_HOST or PUBLIC_HOST.replace(".", "").isdigit()
ADMIN_SECOND_FACTOR = env("WAXWING_ADMIN_SECOND_FACTOR", default="optional" if _AT_A_NUMBER else "required")
SEARCHES_OF_ONE = env.int("WAXWING_SEARCHES_OF_ONE", default=300)
SUGGESTIONS_OF_ONE = env.int("WAXWING_SUGGESTIONS_OF_ONE", default=600)
PREVIEWS_OF_ONE = env.int("WAXWING_PREVIEWS_OF_ONE", default=60)
STREAMS_OF_ONE = env.int("WAXWING_STREAMS_OF_ONE", default=30)
STREAMS_OF_ALL = env.int("WAXWING_STREAMS_OF_ALL", default=2000)

#: Who may begin a conversation with accounts that did not choose: everyone, followed, written-to or nobody.
#: What others begin waits among their requests.
WHO_MAY_WRITE = env("WAXWING_WHO_MAY_WRITE", default="followed")

#: Whether senders are told that a message was opened, for accounts that have not chosen.
TELL_OPENED = env.bool("WAXWING_TELL_OPENED", default=True)
#: For how many seconds a sent message may be taken back; 0 sends it at once.
UNDO_SECONDS = env.int("WAXWING_UNDO_SECONDS", default=10)
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

#: Where uploaded exports of accounts lie until they are taken in; web and workers share it.
IMPORT_DIR = env("WAXWING_IMPORT_DIR", default=str(DATA_DIR / "imports"))
#: The largest export that is taken.
IMPORT_MAX_BYTES = env.int("WAXWING_IMPORT_MAX_BYTES", default=2 * 1024**3)

REDIS_URL = env("WAXWING_REDIS_URL", default="redis://127.0.0.1:6379/0")

INSTALLED_APPS = [
    "accounts.admin_app.AdminConfig",
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
    "webmail.health.health",
    "webmail.ordinary.host.FrameHost",
    "accounts.canonical_host.CanonicalHost",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "accounts.session_cookie.SessionCookie",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.sessions.SignedInAccount",
    "accounts.whose_page.WhosePage",
    "accounts.sessions.UnlockedBrowser",
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
            "builtins": ["webmail.templatetags.quick_url", "webmail.templatetags.row_templates"],
            "libraries": {
                "i18n": "webmail.templatetags.quick_translate",
                "static": "webmail.templatetags.quick_static",
            },
        },
    },
    {
        "NAME": "rows",
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates" / "jinja2"],
        "OPTIONS": {
            "environment": "webmail.row_templates.environment",
            "context_processors": ["webmail.row_templates.for_one_answer"],
        },
    },
]

# One of our libraries of template tags stands in the place of Django's own of that name, "i18n", on purpose.
SILENCED_SYSTEM_CHECKS = ["templates.W003"]

DATABASES = {
    "default": env.db_url("WAXWING_DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'webmail.sqlite3'}")
}
# For those that the web process keeps from one request to the next: see webmail/answering_threads.py.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["ENGINE"] = "accounts.sqlite_in_turn"
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    # What accounts/prepared_rows.py asks of a connection so often is planned by PostgreSQL once.
    DATABASES["default"].setdefault("OPTIONS", {})["prepare_threshold"] = 5
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"serializer": "webmail.cached_json.CachedJson"},
    }
}

LANGUAGE_CODE = "en"
#: Each but English has a catalogue in locale/; each is called what its speakers call it.
LANGUAGES = [("de", "Deutsch"), ("en", "English"), ("ja", "日本語"), ("pt", "Português")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "language"
LANGUAGE_COOKIE_AGE = 31_536_000
LANGUAGE_COOKIE_SECURE = SECURE
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

#: For administrators; nobody else has a password here.
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
    )
]

# These alone are compressed. Pages hold what others wrote beside what they may not read: with compression the
# length of an answer would tell whoever sees it pass whether the two are alike (BREACH).
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "webmail.lean_static.LeanStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

SESSION_ENGINE = "accounts.browser_sessions"
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
# Lax, so that the redirect back from the person's own server still finds the session.
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
# Lax as well: whoever comes by a link of another site must be seen to have it, or would get another one, with
# which no other open page can post. With what another site posts neither of the two is sent.
CSRF_COOKIE_SAMESITE = "Lax"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
# "no-referrer" would make browsers send "Origin: null", which the CSRF check must refuse.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

FILE_UPLOAD_HANDLERS = ["webmail.blobs.spool.SpooledUpload"]

CELERY_BROKER_URL = REDIS_URL
#: See webmail/queues.py. Every task has its queue here, and a test holds us to it.
CELERY_TASK_DEFAULT_QUEUE = "schedule"
CELERY_TASK_ROUTES = {
    "webmail.tasks.pull": {"queue": "interactive"},
    "webmail.tasks.seal": {"queue": "interactive"},
    "webmail.tasks.deliver": {"queue": "delivery"},
    "webmail.tasks.carry_answer": {"queue": "delivery"},
    "webmail.tasks.file_answer": {"queue": "interactive"},
    "webmail.tasks.release": {"queue": "interactive"},
    "webmail.tasks.wake": {"queue": "lookups"},
    "webmail.tasks.recheck": {"queue": "lookups"},
    "webmail.tasks.acknowledge": {"queue": "interactive"},
    "webmail.tasks.seal_patiently": {"queue": "lookups"},
    "webmail.tasks.look_into_requests": {"queue": "lookups"},
    "webmail.tasks.read_graph": {"queue": "lookups"},
    "accounts.tasks.renew_prekeys_of": {"queue": "lookups"},
    "accounts.tasks.audit_account": {"queue": "lookups"},
    "accounts.tasks.read_plc_logs": {"queue": "lookups"},
    "accounts.tasks.audit_all": {"queue": "schedule"},
    "webmail.tasks.archive_waiting": {"queue": "schedule"},
    "webmail.tasks.index_messages": {"queue": "schedule"},
    "webmail.tasks.erase": {"queue": "schedule"},
    "webmail.tasks.close_account": {"queue": "lookups"},
    "webmail.tasks.take_in": {"queue": "schedule"},
    "webmail.tasks.remove_abandoned_uploads": {"queue": "schedule"},
    "webmail.tasks.sweep_files": {"queue": "schedule"},
    "webmail.tasks.forget_pictures": {"queue": "schedule"},
    "webmail.tasks.read_graphs": {"queue": "schedule"},
    "webmail.tasks.prune_set_aside": {"queue": "schedule"},
    "webmail.tasks.prune_kept_aside": {"queue": "schedule"},
    "webmail.tasks.prune_deleted_mail": {"queue": "schedule"},
    "webmail.tasks.prune_reports": {"queue": "schedule"},
    "webmail.tasks.prune_subscriptions": {"queue": "schedule"},
    "webmail.tasks.leave_former_data_keys": {"queue": "schedule"},
    "webmail.tasks.leave_all_former_data_keys": {"queue": "schedule"},
    "webmail.tasks.reconcile": {"queue": "schedule"},
    "webmail.tasks.pull_all": {"queue": "schedule"},
    "accounts.tasks.renew_all_prekeys": {"queue": "schedule"},
    "accounts.tasks.forget_old": {"queue": "schedule"},
}
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
