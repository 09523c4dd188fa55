"""What anybody may publish in the DNS, as the operator's check reads it."""

import ipaddress
from contextlib import suppress

from tests.fuzzing.target import target
from webmail.dns_check import mail, spf
from webmail.dns_check.findings import shown
from webmail.dns_check.hosts import permits
from webmail.dns_check.questions import Authority
from webmail.dns_check.tags import TagError, tags_of

KEY = "v=DKIM1; k=rsa; p=TUlJQg=="
SERVER = spf.Server("mx.example.org", ipaddress.ip_address("9.9.9.9"))


@target(
    lambda: (KEY.encode(), b"v=DMARC1; p=none", b"v=spf1 mx a:mx.example.org ip4:9.9.0.0/16 include:x -all"),
    words=(b"v=spf1 ", b" ip6:::/0", b" redirect=", b"+all", b"; h=sha256:", b" =", b";;", b"\\\\", b"/129"),
)
def dns_record_target(data: bytes) -> None:
    text = data.decode("ascii", "backslashreplace")
    with suppress(TagError):
        assert all(value == "".join(value.split()) for value in tags_of(text).values())
    mail.is_key(text, KEY)
    mail.is_policy(text)
    permits([Authority(False, "issue", text)], "letsencrypt.org")
    assert shown(text).isprintable()
    if spf.is_spf(text):
        assert spf.judge(text, SERVER, "example.org") in spf.Verdict
        assert spf.is_spf(spf.allowing(text))
        assert "\n" not in spf.allowing(text)
        assert len(spf.allowing(text)) <= 255
