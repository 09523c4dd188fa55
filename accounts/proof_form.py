"""The part of a form by which somebody shows that they can open their keys: passphrase, passkey or code."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.passkey_fields import NoPasskey, passkey_use_in
from crypto_agent.client import Custody, Passphrase, RecoveryCode, Secret

PASSPHRASE, PASSKEY, CODE = "passphrase", "passkey", "code"
#: The agent takes no longer one (bytes of UTF-8).
LONGEST_PASSPHRASE = 1024
#: Of a new one, in characters.
SHORTEST_PASSPHRASE = 12
LONGEST_CODE = 200


class ProofForm(forms.Form):
    """``ways`` are those that are open for this account; ``secret()`` is what was given, once it is valid."""

    way = forms.ChoiceField()
    passphrase = forms.CharField(required=False, strip=False, max_length=LONGEST_PASSPHRASE)
    code = forms.CharField(required=False, max_length=LONGEST_CODE)
    passkey = forms.CharField(required=False)

    def __init__(self, ways: list[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ways = ways
        way = self.fields["way"]
        assert isinstance(way, forms.ChoiceField)
        way.choices = [(way, way) for way in ways]
        self.initial.setdefault("way", ways[0])

    def clean(self) -> None:
        super().clean()
        match self.cleaned_data.get("way"):
            case "passphrase" if not self.cleaned_data.get("passphrase"):
                self.add_error("passphrase", _("Type your passphrase."))
            case "code" if not self.cleaned_data.get("code"):
                self.add_error("code", _("Type your recovery code."))
            case "passkey":
                try:
                    self.cleaned_data["use"] = passkey_use_in(self.cleaned_data.get("passkey", ""))
                except NoPasskey:
                    self.add_error("passkey", _("No passkey was used. That needs a browser with script."))

    def secret(self) -> Secret:
        """What was given. Only for a valid form."""
        found = self.cleaned_data
        match found["way"]:
            case "passphrase":
                return Passphrase(found["passphrase"])
            case "passkey":
                secret: Secret = found["use"]
                return secret
            case _:
                return RecoveryCode(found["code"])


def ways_to_open(custody: Custody) -> list[str]:
    """What opens the lock of an account, the usual ones first."""
    kinds = {secret.kind for secret in custody.secrets}
    ways: list[str] = [kind for kind in (PASSPHRASE, PASSKEY) if kind in kinds]
    return [*ways, CODE] if custody.recovery_code_at else ways or [PASSPHRASE]
