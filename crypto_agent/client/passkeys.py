"""Passkeys: making, asking for and requiring them."""

from crypto_agent import client_json as js
from crypto_agent import custody_json
from crypto_agent.client.transport import Transport, asserted
from crypto_agent.custody_values import Passkey, PasskeyChallengePurpose, PasskeyUse, RecoveryCode


class PasskeyCalls(Transport):
    """Passkeys: making, asking for and requiring them."""

    def begin_passkey(self, did: str, user_name: str) -> js.Json:
        """PublicKeyCredentialCreationOptionsJSON for the browser to make a passkey from.

        Raises AgentRefused ``PasskeysUnavailable``, ``NoSuchAccount``.
        """
        options: js.Json = self._procedure("beginPasskey", {"did": did, "userName": user_name})["options"]
        return options

    def add_passkey(
        self, did: str, name: str, credential: js.Json, *, assertion: js.Json | None = None
    ) -> Passkey:
        """Keeps the passkey that the browser made; ``credential`` is its RegistrationResponseJSON."""
        arguments = {"did": did, "name": name, "credential": credential, **asserted(assertion)}
        return custody_json.passkey_value(self._procedure("addPasskey", arguments)["passkey"])

    def remove_passkey(self, did: str, passkey_id: str, *, assertion: js.Json | None = None) -> None:
        """Raises AgentRefused ``NoSuchPasskey``, ``PasskeyInUse``, ``LastWayIn``, ``StepUpRequired``."""
        self._procedure("removePasskey", {"did": did, "passkeyId": passkey_id, **asserted(assertion)})

    def passkey_challenge(self, did: str, purpose: PasskeyChallengePurpose) -> js.Json:
        """PublicKeyCredentialRequestOptionsJSON for one answer within five minutes, to this alone."""
        arguments = {"did": did, "purpose": purpose}
        options: js.Json = self._procedure("passkeyChallenge", arguments)["options"]
        return options

    def confirm_passkey(self, did: str, credential: js.Json) -> None:
        """Returns if the passkey confirmed ``sign-in``; else raises AgentRefused ``WrongPasskey``."""
        self._procedure("confirmPasskey", {"did": did, "credential": credential})

    def require_passkey(self, did: str, required: bool, proof: PasskeyUse | RecoveryCode) -> str | None:
        """Whether signing in and dangerous steps need a passkey; a recovery code, if one was made for that.

        A passkey has to have confirmed ``require-passkey``; the recovery code can end the requirement.
        """
        arguments = {"did": did, "required": required, "proof": custody_json.secret_json(proof)}
        code: str | None = self._procedure("requirePasskey", arguments).get("recoveryCode")
        return code
