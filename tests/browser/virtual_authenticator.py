"""An authenticator inside Chromium: it makes and shows passkeys, with the PRF, and says yes by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import CDPSession, Page

from tests.services.chromium import tools_of


class VirtualAuthenticator:
    """For one page, until the page or the context is closed."""

    def __init__(self, session: CDPSession, authenticator_id: str) -> None:
        self._session = session
        self._id = authenticator_id
        self._away: list[object] = []

    def forget_all(self) -> None:
        """As a device that was lost and set up again."""
        self._session.send("WebAuthn.clearCredentials", {"authenticatorId": self._id})

    def verifies(self, verified: bool) -> None:
        """Whether the finger that it is given is its owner's."""
        options = {"authenticatorId": self._id, "isUserVerified": verified}
        self._session.send("WebAuthn.setUserVerified", options)

    def remove(self) -> None:
        """It is unplugged for good."""
        self._session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self._id})

    def put_away(self) -> None:
        """As a security key that was pulled out: its passkeys are not there."""
        options = {"authenticatorId": self._id}
        self._away = self._session.send("WebAuthn.getCredentials", options)["credentials"]
        self.forget_all()

    def bring_back(self) -> None:
        """Its passkeys, but not the secrets of their PRF, which Chromium does not give out."""
        for credential in self._away:
            options = {"authenticatorId": self._id, "credential": credential}
            self._session.send("WebAuthn.addCredential", options)


@contextmanager
def authenticator_of(page: Page, *, has_prf: bool = True) -> Iterator[VirtualAuthenticator]:
    """Puts an authenticator into the page's browser window."""
    session = tools_of(page, "an authenticator")
    session.send("WebAuthn.enable", {"enableUI": False})
    made = session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "ctap2Version": "ctap2_1",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "hasPrf": has_prf,
                "automaticPresenceSimulation": True,
            }
        },
    )
    yield VirtualAuthenticator(session, made["authenticatorId"])
    session.detach()
