# syntax=docker/dockerfile:1
# One image for web, worker, scheduler, ingress and agent (target "app"), and one each for the mail servers.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --require-hashes --only-binary=:all: -r requirements.lock

FROM python:3.11-slim-bookworm AS app
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin waxwing
WORKDIR /app
COPY --from=build /venv /venv
COPY manage.py ./
COPY accounts accounts
COPY crypto_agent crypto_agent
COPY lexicons lexicons
COPY locale locale
COPY outbound outbound
COPY static static
COPY templates templates
COPY turns turns
COPY webmail webmail
COPY deploy/app/start /usr/local/bin/start
# The values serve this one command, which needs some, and stay in no layer. The folders are where volumes go,
# which take the owner from here.
RUN python -m webmail.catalogues \
    && WAXWING_SECRET_KEY=build WAXWING_TOKEN_KEYS=build WAXWING_AGENT_TOKEN_SECRET=build \
    python manage.py collectstatic --noinput --verbosity 0 \
    && install -d -o 10001 -g 10001 -m 0700 \
       /var/lib/waxwing/imports /var/lib/waxwing/files /var/lib/waxwing-agent
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/start"]
CMD ["web"]

FROM debian:12-slim AS dovecot
# Another version reads its configuration differently: 2.3 is what deploy/dovecot is written for.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "dovecot-imapd=1:2.3.*" python3-minimal \
    && rm -rf /var/lib/apt/lists/* /etc/dovecot \
    && useradd --system --uid 10002 --user-group --no-create-home --shell /usr/sbin/nologin vmail \
    && install -d -o vmail -g vmail -m 0700 /var/mail/waxwing
COPY deploy/render.py deploy/dovecot /opt/waxwing/
USER 10002:10002
ENTRYPOINT ["/opt/waxwing/start"]

FROM debian:12-slim AS postfix
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
       "postfix=3.7.*" ca-certificates python3-minimal \
    && rm -rf /var/lib/apt/lists/*
COPY deploy/render.py deploy/postfix /opt/waxwing/
# Postfix's master starts as root and gives each of its parts to the user postfix.
# hadolint ignore=DL3002
USER 0:0
ENTRYPOINT ["/opt/waxwing/start"]

FROM debian:12-slim AS opendkim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "opendkim=2.11.*" \
    && rm -rf /var/lib/apt/lists/* /etc/opendkim.conf \
    && useradd --system --uid 10003 --user-group --no-create-home --shell /usr/sbin/nologin signer
COPY deploy/opendkim /opt/waxwing/
USER 10003:10003
ENTRYPOINT ["/opt/waxwing/start"]
