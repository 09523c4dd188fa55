"""The webmail's settings for a target's process: a database in memory, and nothing remembered."""

# isort: off
from webmail.settings import *  # noqa: F403
from tests.fuzzing.in_memory import DATABASES  # noqa: F401

CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
LOGGING_CONFIG = None
