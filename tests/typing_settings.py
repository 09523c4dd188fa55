"""The settings of both Django projects in one, for the type checker, which looks at one project only."""

import os

for name in ("SECRET_KEY", "TOKEN_KEYS", "AGENT_TOKEN_SECRET", "AGENT_SECRET_KEY"):
    os.environ.setdefault(f"WAXWING_{name}", "unused")

# isort: off
from crypto_agent.settings import *  # noqa: E402, F403
from webmail.settings import *  # noqa: E402, F403
from webmail.settings import INSTALLED_APPS as WEBMAIL_APPS  # noqa: E402

INSTALLED_APPS = [*WEBMAIL_APPS, "crypto_agent"]
