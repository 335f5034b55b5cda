# The service, and nothing that builds or tests it. One image for every role: web, migrate, manage.py.

FROM python:3.13-slim AS packages
COPY requirements/base.txt /
# Wheels only, by hash: nothing is compiled or run while installing, and nothing is installed that was not reviewed.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes --requirement /base.txt

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tracking \
    && install --directory --owner tracking --mode 0700 /var/lib/tracking
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py gunicorn.conf.py ./
COPY core core
COPY issuance issuance
COPY ledger ledger
COPY reports reports
COPY schema schema
# The code belongs to root and is compiled here, so that the service can't change itself and starts on a read-only disk.
RUN python -m compileall -q .
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 PORT=8000 FENCE=/var/lib/tracking/fence
USER tracking
EXPOSE 8000
# Alive means that it answers: what a fence refuses is answered with 503, and no restart would help.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import http.client, os; \
host = os.environ.get('ALLOWED_HOSTS', '').split(',')[0].strip().lstrip('.*') or 'localhost'; \
web = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); \
web.request('GET', '/livez', headers={'Host': host, 'X-Forwarded-Proto': 'https'}); \
web.getresponse()"]
CMD ["gunicorn", "-c", "gunicorn.conf.py", "core.asgi:application"]
