"""Django's settings, derived from core.env: the same everywhere but for what the operator gave."""

import secrets as random_secrets
from pathlib import Path
from typing import Any

from django.utils.csp import CSP

from core import databases, logs, production
from core.embedded import postgres, secrets, valkey
from core.env import Env, load

BASE_DIR = Path(__file__).resolve().parent.parent

ENV: Env = secrets.complete(load())
production.check(ENV)
# An embedded service has no key before its first `make run`; commands that sign nothing still work.
SECRET_KEY = ENV.secret_key or random_secrets.token_urlsafe(48)
DEBUG = ENV.debug
ALLOWED_HOSTS = [host.strip() for host in ENV.allowed_hosts.split(",") if host.strip()]

_serving_url = ENV.database_url or postgres.serving_url(ENV.data_dir)
_owner_url = ENV.database_owner_url or ENV.database_url or postgres.owner_url(ENV.data_dir)
DATABASES: dict[str, dict[str, Any]] = {
    "default": databases.django_database(_serving_url, role=databases.APPLICATION_ROLE),
    "owner": databases.django_database(_owner_url, role=None) | {"TEST": {"MIRROR": "default"}},
}
if ENV.database_replica_url is not None:
    DATABASES[databases.REPLICA] = databases.replica_database(ENV.database_replica_url)
DATABASE_URL = _serving_url
DATABASE_OWNER_URL = _owner_url
DATABASE_SEALER_URL = ENV.database_sealer_url or ENV.database_url or postgres.sealing_url(ENV.data_dir)
DATABASE_REPORTER_URL = ENV.database_reporter_url or ENV.database_url or postgres.reporting_url(ENV.data_dir)
REDIS_URL = ENV.redis_url or (valkey.url(valkey.home(ENV.data_dir)) if ENV.embedded else None)

INSTALLED_APPS = [
    "reports",  # before unfold: what it has in place of unfold's files and templates is found first
    "unfold.apps.BasicAppConfig",
    "django.contrib.admin.apps.SimpleAdminConfig",  # these three for their code: core.staff.routers
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",  # the BRIN index
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "core",
    "core.keys",
    "core.staff",
    "ledger",
    "issuance",
    "schema",
]
MIDDLEWARE = [
    "core.middleware.observe",
    "core.middleware.operators",
    "core.middleware.require_host",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "core.staff.middleware.Policy",
    "core.staff.middleware.Sessions",
    "django.middleware.csrf.CsrfViewMiddleware",
    "core.staff.middleware.Logins",
    "core.staff.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
if ENV.otel_exporter_otlp_endpoint is not None:
    MIDDLEWARE.insert(1, "core.tracing.requests")
ROOT_URLCONF = "core.urls"
WSGI_APPLICATION = "core.wsgi.application"
ASGI_APPLICATION = "core.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
APPEND_SLASH = False  # a redirect would be a second request, and here a request is an issuance

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # the sidecar's files are served from its package; nothing to collect

HTTPS_ONLY = ENV.https_only if ENV.https_only is not None else not ENV.embedded
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS_ONLY
SECURE_HSTS_PRELOAD = HTTPS_ONLY
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS_ONLY else None
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "reports.console.frame.csrf_failure"

# The console: its logins, and what its pages may load.
AUTH_USER_MODEL = "staff.StaffUser"
AUTHENTICATION_BACKENDS = ["core.staff.backend.StaffBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["name"]},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
DATABASE_ROUTERS = ["core.staff.routers.Tableless", "core.replica.Router"]
MIGRATION_MODULES = dict.fromkeys(("admin", "auth", "contenttypes"))  # tables that there are not need none
# A session is a signed cookie: no table, and a staff user's epoch ends it (core.staff.models).
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = "/console/"
CSRF_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],  # the marks of check boxes and lists, which stand in the style sheet
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["core.keys.drf.BearerKey"],
    "DEFAULT_PERMISSION_CLASSES": ["core.keys.drf.Scoped"],  # a view that declares no scope is closed
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "core.keys.schema.ScopedSchema",
    "EXCEPTION_HANDLER": "core.drf.exception_handler",
}

# The ledger knows no numbering, but reads across shards go by the serial that a number hides.
SERIAL_OF_NUMBER = "issuance.configured.serial_of"

LOGGING: dict[str, Any] = logs.config(ENV.log_lines, ENV.log_level)

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Tracking number authority",
    "DESCRIPTION": "Issues tracking numbers, and proves years later what it gave to whom and when.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "LICENSE": {"name": "All rights reserved"},
    "SERVERS": [{"url": "/", "description": "Wherever this document is served."}],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["core.keys.drf.Scoped"],
    "SERVE_AUTHENTICATION": [],
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "ApiKey": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "tna_…",
                "description": "A key that `manage.py create_api_key` made. Each operation names the scope it needs.",
            }
        }
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "schema.headers.add_problem_headers",
        "schema.links.add_links",
    ],
    "SORT_OPERATION_PARAMETERS": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "tryItOutEnabled": True,
        "displayRequestDuration": True,
        "persistAuthorization": True,
        "deepLinking": True,
        "validatorUrl": None,  # else it has swagger.io read the schema
    },
    "TAGS": [
        {"name": "Issuing", "description": "Numbers, one at a time or many together."},
        {"name": "Numbers", "description": "What is known of a number, and what its label tells."},
        {"name": "Log", "description": "What anyone can check: c2sp.org/tlog-tiles, tlog-checkpoint and tlog-proof."},
        {"name": "Reports", "description": "What was issued, counted up to the log's sealed head."},
    ],
}
