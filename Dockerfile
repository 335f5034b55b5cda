# The service, and nothing that builds or tests it. One image for every role: web, sealer, worker, beat, migrate.

FROM python:3.13-slim AS packages
COPY requirements/base.txt /
# Wheels only, by hash: nothing is compiled or run while installing, and nothing is installed that was not reviewed.
# What installed them stays behind.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes --requirement /base.txt \
    && /venv/bin/pip uninstall --yes pip

FROM python:3.13-slim
# The base brings pip and a copy of it for new environments; whoever gets in here shall find nothing that installs.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tracking \
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
USER 10001
EXPOSE 8000
# Every role drains on it: requests are answered, batches committed, a task is finished.
STOPSIGNAL SIGTERM
# Alive means that it answers: what a fence refuses is answered with 503, and no restart would help. Whether it should be
# sent requests is for a proxy to ask, at /readyz.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import os, urllib.request; \
urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez', timeout=4)"]
CMD ["gunicorn", "-c", "gunicorn.conf.py", "core.asgi:application"]

# At the end, since they differ with every build: docker build --build-arg REVISION="$(git rev-parse HEAD)" …
ARG VERSION=unversioned REVISION=unknown CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="Tracking number authority" \
      org.opencontainers.image.description="Issues tracking numbers, and proves years later what it gave to whom and when." \
      org.opencontainers.image.licenses="LicenseRef-All-rights-reserved" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
