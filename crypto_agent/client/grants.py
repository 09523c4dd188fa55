"""What apps may have done, and whose attestations a record bears."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from crypto_agent import client_json as js
from crypto_agent.client.transport import Transport, asserted
from crypto_agent.client_values import Grant, Grants, NewGrant


class GrantCalls(Transport):
    """What apps may have done, and whose attestations a record bears."""

    def create_grant(
        self,
        did: str,
        name: str,
        purposes: Sequence[str],
        *,
        expires_at: datetime,
        hourly_limit: int,
        assertion: js.Json | None = None,
    ) -> NewGrant:
        """Allows an app of the user ``purposes`` (status, sign, attest, seal, open), and no other.

        It may need ``assertion``, the passkey's for ``create-grant``; else AgentRefused ``StepUpRequired``.
        """
        arguments = {
            "did": did,
            "name": name,
            "purposes": list(purposes),
            "expiresAt": js.time_json(expires_at),
            "hourlyLimit": hourly_limit,
            **asserted(assertion),
        }
        answer = self._procedure("createGrant", arguments)
        return NewGrant(js.grant_value(answer["grant"]), answer["token"])

    def list_grants(self, did: str) -> Grants:
        """What the user allowed which apps, revoked and expired grants included."""
        answer = self._query("listGrants", {"did": did})
        return Grants(answer.get("service"), [js.grant_value(grant) for grant in answer["grants"]])

    def revoke_grant(self, did: str, grant_id: str) -> Grant:
        """The app has nothing done from now on. Repeating it changes nothing more."""
        arguments = {"did": did, "grantId": grant_id}
        return js.grant_value(self._procedure("revokeGrant", arguments)["grant"])

    def check_attestations(
        self,
        did: str,
        record: js.Json,
        repository: str,
        *,
        trusted_keys: Mapping[str, str],
        trusted_proofs: Mapping[str, js.Json],
    ) -> list[str]:
        """Who, of those that ``did`` trusts, attests a record of ``repository``: key names and proof URIs.

        ``trusted_keys`` has a did:key for each name of a key, ``trusted_proofs`` proof records by URI.
        Raises AgentRefused ``NotAttested`` if nobody does.
        """
        arguments = {
            "did": did,
            "record": record,
            "repository": repository,
            "trustedKeys": [{"name": name, "didKey": key} for name, key in trusted_keys.items()],
            "trustedProofs": [{"uri": uri, "value": proof} for uri, proof in trusted_proofs.items()],
        }
        return [held["by"] for held in self._procedure("checkAttestations", arguments)["attestations"]]
