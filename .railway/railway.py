# ruff: noqa: INP001  # no package: Railway's CLI reads this file
"""The service on Railway, as docker-compose.yml has it on one machine: `railway config apply` makes it so.

Read docs/operations.md, "Railway", before the first time. What is left to do by hand are the shared variables of the
environment, which come from scripts/make-env.sh, and the domain.
"""

from typing import Any

from railway_sdk import bucket, define_railway, postgres, project, service, volume

BUCKET_REGION = "ams"
"""Near to where the services run; may not change once the bucket is there."""

# No shell reads a start command, so nothing in it is expanded; what needs a variable needs a shell of its own.
SEALER = "python manage.py seal_ledger"
WORKER = "celery --app=core.celery --quiet worker --concurrency=2 --without-gossip --without-mingle --without-heartbeat"
BEAT = "celery --app=core.celery --quiet beat"
WEB = "gunicorn -c gunicorn.conf.py core.asgi:application"
PREPARE = '/bin/sh -c "python manage.py migrate && python manage.py init_allocator"'
# Not the template that redis() stands for: that one writes to its disk once a minute, and the fence must be there
# before it is answered for. The entrypoint gives the volume to the user valkey and goes on as it.
VALKEY = (
    '/bin/sh -c "exec docker-entrypoint.sh valkey-server --dir /data --appendonly yes --appendfsync always '
    '--maxmemory-policy noeviction --requirepass $VALKEY_PASSWORD"'
)


@define_railway
def main(ctx: Any) -> Any:
    """The project; ``ctx.shared`` are variables that the environment must have already."""
    shared = ctx.shared
    db = postgres("db")
    log = bucket("log", region=BUCKET_REGION)
    fence = volume("fence", sizeMB=1024)
    valkey = service(
        "valkey",
        source={"type": "image", "image": "valkey/valkey:9"},
        start=VALKEY,
        replicas=1,
        deploy={"restartPolicyType": "ALWAYS", "drainingSeconds": 30},
        volumeMounts={"/data": fence},
        env={
            "VALKEY_PASSWORD": shared.VALKEY_PASSWORD,
            "REDIS_URL": "redis://default:${{VALKEY_PASSWORD}}@${{RAILWAY_PRIVATE_DOMAIN}}:6379/0",
        },
    )

    # One login is all that Railway makes: sessions act as the role that fits, but the password opens more.
    everybody = {
        "DATABASE_URL": db.env.DATABASE_URL,
        "SECRET_KEY": shared.SECRET_KEY,
        "NUMBER_KEY": shared.NUMBER_KEY,
        "CUSTOMER_TAG_KEYS": shared.CUSTOMER_TAG_KEYS,
        "LEDGER_KEY": shared.LEDGER_VERIFIER_KEY,
        "FENCE": valkey.env.REDIS_URL,  # not a file: no two services share a volume
        "PUBLICATION": "s3://${{log.BUCKET}}/log",
        "AWS_ACCESS_KEY_ID": log.env.ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": log.env.SECRET_ACCESS_KEY,
        "AWS_REGION": log.env.REGION,
        "AWS_ENDPOINT_URL_S3": log.env.ENDPOINT,
        "AWS_S3_ADDRESSING_STYLE": "virtual",
    }
    counting = {"REDIS_URL": valkey.env.REDIS_URL}
    serving = {
        **counting,
        "HOST": "::",  # IPv6 and IPv4; the private network has both, or only the first
        "PORT": "8000",  # where health check and domain lead
        "ALLOWED_HOSTS": "${{RAILWAY_PUBLIC_DOMAIN}}",
        "METRICS_TOKEN": shared.METRICS_TOKEN,
        "THROTTLE_PER_ADDRESS": "600",
        "TRUSTED_PROXIES": "1",
        "WEB_CONCURRENCY": "2",  # a container sees all cores of the machine that it is on
    }

    def ours(name: str, start: str, replicas: int, env: dict[str, Any], *, draining: int, **more: Any) -> Any:
        deploy = {"restartPolicyType": "ALWAYS", "drainingSeconds": draining, **more}
        return service(
            name,
            build={"builder": "DOCKERFILE", "dockerfilePath": "Dockerfile"},
            start=start,
            replicas=replicas,
            deploy=deploy,
            env={**everybody, **env},
        )

    web = ours(
        "web",
        WEB,
        2,
        serving,
        draining=100,
        overlapSeconds=10,
        preDeployCommand=[PREPARE],
        healthcheckPath="/readyz",
        healthcheckTimeout=120,
    )
    sealer = ours("sealer", SEALER, 2, {"LEDGER_KEY": shared.LEDGER_KEY}, draining=30)
    worker = ours("worker", WORKER, 1, counting, draining=30)
    beat = ours("beat", BEAT, 1, counting, draining=30)
    return project("tracking", resources=[db, log, fence, valkey, web, sealer, worker, beat])
