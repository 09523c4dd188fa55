"""The devices of an account, and the state of the agent."""

from crypto_agent import client_json as js
from crypto_agent.client.transport import Transport, asserted
from crypto_agent.client_values import AgentStatus, Device


class DeviceCalls(Transport):
    """The devices of an account, and the state of the agent."""

    def status(self) -> AgentStatus:
        """Whether the agent is open or sealed; answered even while it is sealed."""
        answer = self._query("getStatus", {})
        return AgentStatus(
            state=answer["state"],
            version=answer["version"],
            alarms=answer["alarms"],
            late_data_keys=answer.get("lateDataKeys", 0),
        )

    def create_device(
        self, did: str, handle: str, mail_domain: str, *, assertion: js.Json | None = None
    ) -> Device:
        """The active device of ``did``, made with certificate, prekey and archive key if none is there.

        A further one may need ``assertion``, the passkey's for ``create-device``; else AgentRefused
        ``StepUpRequired``.
        """
        arguments = {
            "did": did,
            "handle": handle,
            "mailDomain": mail_domain,
            **asserted(assertion),
        }
        return js.device_value(self._procedure("createDevice", arguments)["device"])

    def list_devices(self, did: str) -> list[Device]:
        """All devices of ``did``, revoked ones included, oldest first."""
        return [js.device_value(device) for device in self._query("listDevices", {"did": did})["devices"]]

    def revoke_device(self, did: str, fingerprint: str) -> Device:
        """Destroys the device's private key and prekeys. Repeating it changes nothing more."""
        arguments = {"did": did, "fingerprint": fingerprint}
        return js.device_value(self._procedure("revokeDevice", arguments)["device"])

    def rotate_prekey(self, did: str, fingerprint: str, *, force: bool = False) -> Device:
        """Makes a new prekey if the current one is older than six days, or at once if forced."""
        arguments = {"did": did, "fingerprint": fingerprint, "force": force}
        return js.device_value(self._procedure("rotatePrekey", arguments)["device"])

    def renew_certificate(self, did: str, fingerprint: str, handle: str, mail_domain: str) -> Device:
        """The device, its certificate issued anew for the same key if it ends within sixty days."""
        arguments = {"did": did, "fingerprint": fingerprint, "handle": handle, "mailDomain": mail_domain}
        return js.device_value(self._procedure("renewCertificate", arguments)["device"])
