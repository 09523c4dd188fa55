"""The typed errors of the wire formats; each carries a stable code that callers store and show."""


class AtsmsError(ValueError):
    """Something read or asked for breaks a rule of the formats. ``code`` is stable, the text is not."""

    code = "bad-input"


class NotCanonical(AtsmsError):
    """CBOR that is not in the one deterministic form (protocol §3), or outside its limits."""

    code = "not-canonical"


class Unsupported(AtsmsError):
    """A well-formed value of a version, mode, suite or content type that is not spoken here."""

    code = "unsupported"


class CannotOpen(AtsmsError):
    """No key at hand decrypts it; deliberately the same for every reason why."""

    code = "cannot-open"


class BadEnvelope(AtsmsError):
    """Canonical CBOR, but not the shape of an envelope or of a sealed plaintext."""

    code = "bad-envelope"


class BadPadding(AtsmsError):
    """The padding inside a seal holds something other than zeros."""

    code = "bad-padding"


class BadCms(AtsmsError):
    """Not a CMS structure of the one profile spoken here (protocol §4)."""

    code = "bad-cms"


class BadSignature(AtsmsError):
    """A signature that does not verify, or that is missing, or one of several."""

    code = "bad-signature"


class BadCertificate(AtsmsError):
    """An endpoint certificate that breaks its profile (protocol §2)."""

    code = "bad-certificate"


class ExpiredCertificate(AtsmsError):
    """A moment outside a certificate's validity window."""

    code = "expired-certificate"


class BadContent(AtsmsError):
    """Message content that breaks the rules of protocol §5."""

    code = "bad-content"


class WrongConversation(AtsmsError):
    """The conversation id in a message is not the one that its participants make (protocol §6)."""

    code = "wrong-conversation"


class NotForYou(AtsmsError):
    """The reader's DID is neither the sender nor a recipient of the message."""

    code = "not-for-you"


class TooLarge(AtsmsError):
    """Larger than the format can carry or than this reader accepts."""

    code = "too-large"


class BadPrekey(AtsmsError):
    """A prekey bundle with fields of the wrong kind or a signature that does not verify."""

    code = "bad-prekey"


class ExpiredPrekey(AtsmsError):
    """A prekey bundle past its ``expiresAt``."""

    code = "expired-prekey"


class BadAttestation(AtsmsError):
    """An attestation that does not hold for the record it stands in."""

    code = "bad-attestation"
