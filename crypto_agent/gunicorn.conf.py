"""How gunicorn runs the agent; the address is given on its command line with ``--bind``."""

worker_class = "gthread"
# One process: what is unlocked for a while, such as the operator's key behind a passphrase, lives in its
# memory alone and must be there for every request. Cryptography releases Python's lock where it is heavy.
workers = 1
threads = 16
# The worker reads the operator's key and opens its database by itself.
preload_app = False
timeout = 60
graceful_timeout = 30
keepalive = 75
# Methods have no query string but a DID; tokens are short.
limit_request_line = 4094
limit_request_field_size = 4096
limit_request_fields = 32
# An access log would add nothing to the audit log.
accesslog = None
# Nothing steers a running agent but signals.
control_socket_disable = True
