"""An account with a browser that is signed in, and what the senders' servers said of their devices today.

python -m bench.first_sync.known_senders FILE    within the environment of a web process that has its database

Reads what sealed_envelopes wrote; prints as JSON the account's key and the browser's cookies.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

import cbor2
import django

django.setup()

from django.utils import timezone  # noqa: E402

from accounts.models import Peer, PeerCertificate  # noqa: E402
from bench.web.new_account import new_account  # noqa: E402
from tests.services.browser_sessions import cookies_of_new_browser  # noqa: E402


def main(path: Path) -> None:
    now = timezone.now()
    with path.open("rb") as file:
        device, senders = cbor2.load(file), cbor2.load(file)
    account = new_account(device["did"], "alice.test", device)
    peers = Peer.objects.bulk_create(
        Peer(
            did=sender["did"],
            handle=f"person{number}.test",
            checked_at=now,
            known_since=now,
            profile_checked_at=now,
        )
        for number, sender in enumerate(senders)
    )
    PeerCertificate.objects.bulk_create(
        PeerCertificate(
            peer=peer,
            fingerprint=sender["fingerprint"],
            certificate_pem=sender["certificate"],
            checked_at=now,
            last_seen_at=now,
            not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=365),
        )
        for peer, sender in zip(peers, senders, strict=True)
    )
    print(json.dumps([account.pk, cookies_of_new_browser(account)]))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
