"""A device that turns up in somebody's repository, published with their password by another program."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from accounts import records
from crypto_agent.atsms import certificates, prekeys
from crypto_agent.atsms.certificates import EndpointCertificate
from tests.accounts.repository import Repository


@dataclass
class NewDevice:
    certificate: EndpointCertificate
    prekey: prekeys.Prekey
    made_at: datetime
    _repository: Repository | None = field(default=None)

    @classmethod
    def of(cls, did: str, handle: str, now: datetime) -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        der = certificates.issue_certificate(
            key, did, handle, "other.test", os.urandom(16), now, now + timedelta(days=3650)
        )
        prekey = prekeys.sign_prekey(
            X25519PrivateKey.generate().public_key().public_bytes_raw(),
            os.urandom(32),
            records.iso_time(now),
            records.iso_time(now + timedelta(days=7)),
            key,
        )
        return cls(certificates.parse_certificate(der), prekey, now)

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint

    def publish(self, repository: Repository) -> None:
        self._repository = repository
        record = records.certificate_record(
            repository.did, self.certificate.pem, created_at=self.made_at, now=self.made_at
        )
        repository.put(records.CERTIFICATES, self.fingerprint, record)
        repository.put(records.PREKEYS, self.fingerprint, self.prekey.record())

    def withdraw(self) -> None:
        if self._repository is not None:
            self._repository.delete(records.PREKEYS, self.fingerprint)
            self._repository.delete(records.CERTIFICATES, self.fingerprint)
