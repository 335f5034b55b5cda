"""How gunicorn serves the peers; what differs between them is on their command lines."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
workers = int(os.environ["WEB_CONCURRENCY"])
backlog = 4096
keepalive = 75
accesslog = None
loglevel = "warning"
control_socket_disable = True
