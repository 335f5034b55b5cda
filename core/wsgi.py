"""Django as WSGI: all of the service for whoever runs it without an ASGI server, the lane's fallback otherwise."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "core.settings")
application = get_wsgi_application()
