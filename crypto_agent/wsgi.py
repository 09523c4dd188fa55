"""The agent as a WSGI application: ``gunicorn -c crypto_agent/gunicorn.conf.py crypto_agent.wsgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crypto_agent.settings")
application = get_wsgi_application()
