"""The agent as a WSGI application: ``gunicorn -c crypto_agent/gunicorn.conf.py crypto_agent.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crypto_agent.settings")
application = get_wsgi_application()

# Django has to be set up before anything of the agent is loaded.
from crypto_agent import data_key_renewal, prekey_destruction, unlock_sessions, unsealing  # noqa: E402

unsealing.listen_if_needed()
prekey_destruction.begin()
data_key_renewal.begin()
unlock_sessions.begin_sweeping()
