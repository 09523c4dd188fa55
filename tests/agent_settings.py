"""The crypto agent's own settings, loaded in the environment of this test run."""

# isort: off
from tests import environment  # noqa: F401
from crypto_agent.settings import *  # noqa: F403
