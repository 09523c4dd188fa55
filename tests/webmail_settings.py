"""The webmail's own settings, loaded in the environment of this test run."""

from tests import environment  # noqa: F401
from webmail.settings import *  # noqa: F403
