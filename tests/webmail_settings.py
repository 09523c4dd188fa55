"""The webmail's own settings, loaded in the environment of this test run."""

from tests.environment import RUN
from webmail.settings import *  # noqa: F403
from webmail.settings import DATABASES

if DATABASES["default"]["ENGINE"].endswith("sqlite_in_turn"):
    # A file, as in real use: threads do not wait for each other's locks on a database in memory.
    DATABASES["default"]["TEST"] = {"NAME": str(RUN.directory / "tests-of-webmail.sqlite3")}

# Administrators' alone, half a second each; whole installations have them hashed as in real use.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Each client of a test would list all static files anew.
WHITENOISE_AUTOREFRESH = True
