"""The webmail's settings for a target's process: a database in memory, and nothing remembered."""

# isort: off
from webmail.settings import *  # noqa: F403
from tests.fuzzing.in_memory import DATABASES  # noqa: F401

CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
LOGGING_CONFIG = None
# Tables as the models have them: what led there changes rows, of which an empty database has none.
MIGRATION_MODULES = {"accounts": None, "webmail": None}
