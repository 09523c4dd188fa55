"""All targets by name: where each is, in which Django project, and which modules' decoding it exercises."""

from dataclasses import dataclass

AGENT = "tests.fuzzing.settings_of_agent"
WEBMAIL = "tests.fuzzing.settings_of_webmail"


@dataclass(frozen=True)
class Entry:
    """``module`` is one of tests.fuzzing.targets, ``longest`` the most bytes that its inputs may have."""

    name: str
    module: str
    decoders: tuple[str, ...]
    settings: str | None = None
    longest: int = 4096

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_") + "_target"


def _entry(
    name: str, module: str, *decoders: str, settings: str | None = None, longest: int = 4096
) -> tuple[str, Entry]:
    return name, Entry(name, f"tests.fuzzing.targets.{module}", decoders, settings, longest)


def by_name(*entries: tuple[str, Entry]) -> dict[str, Entry]:
    """Raises ValueError where two have one name: the first would never be run."""
    found: dict[str, Entry] = {}
    for name, entry in entries:
        if name in found:
            raise ValueError(f"two targets are called {name}")
        found[name] = entry
    return found


_ATSMS = "crypto_agent.atsms."
CATALOGUE = by_name(
    *(
        _entry("cbor", "wire", f"{_ATSMS}cbor", longest=16384),
        _entry(
            "content",
            "wire",
            f"{_ATSMS}content",
            f"{_ATSMS}facets",
            f"{_ATSMS}fields",
            f"{_ATSMS}parts",
            "crypto_agent.part_values",
            longest=16384,
        ),
        _entry("der", "wire", f"{_ATSMS}der", longest=16384),
        _entry("certificate", "wire", f"{_ATSMS}certificates"),
        _entry("certificate-names", "wire", f"{_ATSMS}certificates"),
        _entry("cms", "wire", f"{_ATSMS}cms", longest=16384),
        _entry("envelope", "wire", f"{_ATSMS}envelope", longest=16384),
        _entry("message", "wire", f"{_ATSMS}oneshot", f"{_ATSMS}hpke", longest=16384),
        _entry("prekey", "json_values", f"{_ATSMS}prekeys", f"{_ATSMS}json_bytes"),
        _entry("attestation", "json_values", f"{_ATSMS}attestations", f"{_ATSMS}dag_cbor"),
        _entry("cid", "json_values", f"{_ATSMS}dag_cbor"),
        _entry("did-key", "json_values", f"{_ATSMS}did_keys", f"{_ATSMS}ids"),
        _entry("device-file", "json_values", "crypto_agent.device_file", longest=16384),
        _entry("open-command", "json_values", "crypto_agent.__main__", longest=16384),
        _entry(
            "xrpc-call",
            "calls",
            "crypto_agent.views",
            "crypto_agent.lexicons",
            "crypto_agent.methods",
            "crypto_agent.client_json",
            "crypto_agent.composing",
            "crypto_agent.hex_fields",
            "crypto_agent.app_calls",
            "crypto_agent.app_methods",
            "crypto_agent.custody_methods",
            "crypto_agent.custody_json",
            "crypto_agent.leaving_methods",
            "crypto_agent.packed",
            "crypto_agent.plain_json",
            "crypto_agent.framed",
            settings=AGENT,
        ),
        _entry("service-token", "agent", "crypto_agent.tokens", settings=AGENT),
        _entry("user-token", "agent", "crypto_agent.service_auth", settings=AGENT),
        _entry("user-document", "agent", "crypto_agent.user_keys", settings=AGENT),
        _entry("archived", "agent", "crypto_agent.archiving", settings=AGENT, longest=16384),
        _entry("content-at-rest", "agent", "crypto_agent.content_at_rest", settings=AGENT),
        _entry(
            "account-keys",
            "custody",
            "crypto_agent.account_file",
            "crypto_agent.importing",
            settings=AGENT,
        ),
        _entry("account-part", "custody", "crypto_agent.exporting", settings=AGENT),
        _entry("file-at-rest", "custody", "crypto_agent.files_at_rest", settings=AGENT),
        _entry("app-message", "custody", "crypto_agent.app_messages", settings=AGENT),
        _entry("draft-at-rest", "custody", "crypto_agent.drafts", settings=AGENT),
        _entry("framed-call", "custody", "crypto_agent.framed", settings=AGENT),
        _entry("passkey", "custody", "crypto_agent.ceremonies", "crypto_agent.passkeys", settings=AGENT),
        _entry("packed-call", "custody", "crypto_agent.packed", settings=AGENT),
        _entry("recovery-code", "custody", "crypto_agent.recovery_codes", settings=AGENT),
        _entry("export-file", "uploads", "webmail.export_file", settings=WEBMAIL, longest=16384),
        _entry(
            "export-state",
            "uploads",
            "webmail.message_state",
            "webmail.account_import",
            "webmail.consent_export",
            "webmail.exported_settings",
            "webmail.verification_state",
            settings=WEBMAIL,
        ),
        _entry("export-settings", "uploads", "webmail.exported_settings", settings=WEBMAIL),
        _entry("draft", "uploads", "webmail.draft_content", settings=WEBMAIL),
        _entry("last-words", "uploads", "webmail.views.last_words", settings=WEBMAIL),
        _entry("preview-page", "uploads", "webmail.previews.child", settings=WEBMAIL, longest=16384),
        _entry("preview-answer", "uploads", "webmail.previews.page", settings=WEBMAIL),
        _entry("preview-card", "uploads", "webmail.previews.card", settings=WEBMAIL, longest=65536),
        _entry("image-answer", "uploads", "webmail.images.decoding", settings=WEBMAIL),
        _entry("image", "images", "webmail.images.child", settings=WEBMAIL, longest=16384),
        _entry("passkey-field", "uploads", "accounts.passkey_fields", settings=WEBMAIL),
        _entry("cached-value", "uploads", "webmail.cached_json", settings=WEBMAIL),
        _entry(
            "mail",
            "mail",
            "webmail.mailbox.envelope_mail",
            "webmail.mime_message",
            settings=WEBMAIL,
            longest=65536,
        ),
        _entry(
            "ordinary-mail",
            "mail",
            "webmail.ordinary.parsing",
            "webmail.ordinary.parts",
            "webmail.ordinary.links",
            settings=WEBMAIL,
            longest=65536,
        ),
        _entry(
            "mail-charset",
            "mail",
            "webmail.mail_charsets",
            settings=WEBMAIL,
            longest=1024,
        ),
        _entry("mail-id", "mail", "webmail.mailbox.maildir", settings=WEBMAIL, longest=65536),
        _entry(
            "delivery-report",
            "mail",
            "webmail.carriers.bounces",
            "webmail.carriers.outcomes",
            "webmail.carriers.status_codes",
            settings=WEBMAIL,
            longest=65536,
        ),
        _entry(
            "mail-address",
            "mail",
            "webmail.ingress_mail",
            "webmail.mailbox.names",
            "webmail.carriers.bounces",
            settings=WEBMAIL,
        ),
        _entry("inbox-body", "mail", "webmail.ingress_http", settings=WEBMAIL, longest=65536),
        _entry(
            "server-reply",
            "mail",
            "webmail.carriers.outcomes",
            "webmail.carriers.https",
            "webmail.carriers.smtp",
            settings=WEBMAIL,
        ),
        _entry(
            "dns-record",
            "dns_records",
            "webmail.dns_check.mail",
            "webmail.dns_check.spf",
            "webmail.dns_check.tags",
            settings=WEBMAIL,
        ),
        _entry("text", "pages", "webmail.text", settings=WEBMAIL, longest=48000),
        _entry(
            "typed",
            "pages",
            "webmail.outgoing",
            "webmail.conversation_pages",
            "webmail.topic_list",
            "webmail.views.conversation",
            "webmail.sending_times",
            "webmail.time_zone",
            "accounts.canonical_host",
            "webmail.templatetags.addresses",
            settings=WEBMAIL,
            longest=48000,
        ),
        _entry("handle", "people", "accounts.handles", settings=WEBMAIL),
        _entry("compared-code", "pages", "webmail.safety_numbers", settings=WEBMAIL),
        _entry(
            "plc-log", "people", "accounts.plc_log", "accounts.identities", settings=WEBMAIL, longest=16384
        ),
        _entry("did-document", "people", "accounts.did_documents", "accounts.identities", settings=WEBMAIL),
        _entry(
            "repository",
            "people",
            "accounts.repositories",
            "accounts.records",
            "accounts.peers",
            "accounts.lookups",
            settings=WEBMAIL,
            longest=16384,
        ),
        _entry("profile", "people", "accounts.profiles", settings=WEBMAIL),
        _entry("identity-facts", "people", "webmail.identity_facts", settings=WEBMAIL),
        _entry(
            "route",
            "people",
            "accounts.routes",
            "outbound",
            "webmail.carriers.smtp",
            settings=WEBMAIL,
        ),
        _entry("certificate-fields", "people", "accounts.certificate_fields", settings=WEBMAIL),
        _entry(
            "authorization-server",
            "people",
            "accounts.authorization_servers",
            "accounts.oauth",
            "accounts.pds",
            "accounts.dpop",
            settings=WEBMAIL,
        ),
    )
)
