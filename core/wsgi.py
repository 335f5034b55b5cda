"""Django as WSGI: all of the service for whoever runs it without an ASGI server, the lane's fallback otherwise."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
application = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # with the start: Django would do it with the first request
