"""The web process (ASGI, because open pages hold a stream of events)."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")

application = get_asgi_application()
