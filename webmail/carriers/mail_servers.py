"""Which hosts take the mail of a domain (RFC 5321 §5.1)."""

import dns.exception
import dns.name
import dns.resolver

#: Seconds for all the questions about one domain.
LIFETIME = 8.0


class MailServersError(Exception):
    """A domain whose mail servers can't be had. `passing` tells whether asking again later may help."""

    def __init__(self, code: str, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.code = code
        self.passing = passing


def mail_servers(domain: str) -> list[str]:
    """Host names in order of preference; the domain itself where it has no MX.

    Raises MailServersError for a domain that does not exist, takes no mail (RFC 7505), or gets no answer.
    """
    try:
        answer = dns.resolver.resolve(domain, "MX", lifetime=LIFETIME)
    except dns.resolver.NoAnswer:
        return [domain]
    except dns.resolver.NXDOMAIN as error:
        raise MailServersError("server-unknown", f"there is no domain {domain}", passing=False) from error
    except (dns.exception.DNSException, OSError) as error:
        raise MailServersError(
            "server-unreachable", f"no answer from DNS about {domain}", passing=True
        ) from error
    records = sorted(answer, key=lambda record: (record.preference, record.exchange))
    hosts = [record.exchange.to_text(omit_final_dot=True) for record in records]
    if hosts in ([""], ["."]):
        raise MailServersError("server-unknown", f"{domain} takes no mail", passing=False)
    return hosts
