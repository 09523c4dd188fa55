"""Envelopes of many senders for one account, sealed by the agent's own functions.

python -m bench.first_sync.sealed_envelopes FILE COUNT    in the environment of an agent that has its database

Writes CBOR items one after the other: the account's device, the senders' devices, then the envelopes.
"""

import sys
from itertools import cycle, islice
from pathlib import Path

import cbor2
import django

django.setup()

from bench.people import ALICE, enrolled, envelopes_for  # noqa: E402
from crypto_agent.client_values import Device  # noqa: E402

#: Those who wrote, each one conversation.
SENDERS = 200


def main(path: Path, count: int) -> None:
    device = enrolled(ALICE, "alice.test")
    senders = [
        enrolled(f"did:plc:{number:024d}", f"person{number}.test") for number in range(min(SENDERS, count))
    ]
    with path.open("wb") as file:
        cbor2.dump(_told(device), file)
        cbor2.dump([_told(sender) for sender in senders], file)
        for sender in islice(cycle(senders), count):
            for envelope in envelopes_for(device, sender.did, 1):
                cbor2.dump(envelope, file)


def _told(device: Device) -> dict[str, str]:
    return {"did": device.did, "fingerprint": device.fingerprint, "certificate": device.certificate_pem}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
