"""The crypto agent's settings for a target's process: a database in memory."""

# isort: off
from crypto_agent.settings import *  # noqa: F403
from tests.fuzzing.in_memory import DATABASES  # noqa: F401

WEB_ORIGIN, RP_ID = "http://localhost:8000", "localhost"
LOGGING_CONFIG = None
