"""A device of somebody's own, run by another program: its keys are here, its records in the real PDS."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from django.utils import timezone

from accounts import peers, records
from accounts.models import Account
from accounts.pds import PdsClient
from crypto_agent.atsms import certificates, cms, content, oneshot, prekeys
from crypto_agent.atsms.certificates import EndpointCertificate
from crypto_agent.atsms.content import InlinePart
from crypto_agent.atsms.oneshot import DeviceKeys, OpenedMessage, Recipient


@dataclass
class OtherClient:
    """Signs, seals and opens with the wire formats alone."""

    account: Account
    key: ec.EllipticCurvePrivateKey
    certificate: EndpointCertificate
    prekey_secret: bytes
    prekey: prekeys.Prekey

    @classmethod
    def of(cls, account: Account, now: datetime | None = None) -> OtherClient:
        now = now or timezone.now()
        key = ec.generate_private_key(ec.SECP256R1())
        der = certificates.issue_certificate(
            key, account.did, account.handle, "other.test", os.urandom(16), now, now + timedelta(days=3650)
        )
        secret = X25519PrivateKey.generate()
        prekey = prekeys.sign_prekey(
            secret.public_key().public_bytes_raw(),
            os.urandom(32),
            records.iso_time(now),
            records.iso_time(now + timedelta(days=7)),
            key,
        )
        certificate = certificates.parse_certificate(der)
        return cls(account, key, certificate, secret.private_bytes_raw(), prekey)

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint

    def publish(self, *, prekey: bool = True, revoked_at: datetime | None = None) -> None:
        now = timezone.now()
        pds = PdsClient(self.account)
        record = records.certificate_record(
            self.account.did, self.certificate.pem, created_at=now, now=now, revoked_at=revoked_at
        )
        pds.put_record(records.CERTIFICATES, self.fingerprint, record)
        if prekey:
            pds.put_record(records.PREKEYS, self.fingerprint, self.prekey.record())
        peers.forget(self.account.did)

    def withdraw(self) -> None:
        pds = PdsClient(self.account)
        pds.delete_record(records.CERTIFICATES, self.fingerprint)
        pds.delete_record(records.PREKEYS, self.fingerprint)
        peers.forget(self.account.did)

    def write(
        self,
        recipients: list[Account],
        body: list[InlinePart] | None,
        *,
        created_at: datetime | None = None,
        **more: object,
    ) -> list[bytes]:
        """The envelopes of one message, for every device of the recipients."""
        moment = created_at or timezone.now()
        message = content.new_content(
            self.account.did,
            [recipient.did for recipient in recipients],
            body,
            salt=os.urandom(16),
            created_at=int(moment.timestamp() * 1000),
            **more,  # type: ignore[arg-type]
        )
        return self.seal(recipients, content.encode_content(message))

    def seal(self, recipients: list[Account], encoded: bytes) -> list[bytes]:
        signed = cms.sign(encoded, self.key, self.certificate)
        found = []
        for recipient in recipients:
            for device in peers.devices_of(recipient.did):
                assert device.prekey
                target = Recipient(
                    certificates.parse_certificate(device.certificate_pem),
                    prekeys.Prekey(
                        device.prekey.signed_prekey,
                        device.prekey.signing_pk,
                        device.prekey.created_at,
                        device.prekey.expires_at,
                        device.prekey.bundle_sig,
                    ),
                )
                copy = oneshot.seal_for_device(signed, target, now=timezone.now(), random=os.urandom)
                found.append(copy.envelope)
        return found

    def open(self, envelope: bytes) -> OpenedMessage:
        keys = DeviceKeys(self.account.did, self.key, self.certificate, [self.prekey_secret])
        return oneshot.open_message(envelope, keys)
