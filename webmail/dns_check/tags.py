"""Lists of tags in TXT records, as DKIM and DMARC have them (RFC 6376 §3.2)."""


class TagError(ValueError):
    """The text is no list of tags."""


def tags_of(text: str) -> dict[str, str]:
    """``a=b; c=d`` by name, in order; white space is taken off around and within values' lines.

    Raises TagError for a part without "=", and for a name that comes twice.
    """
    found: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, separator, value = part.partition("=")
        if not separator or name.strip() in found:
            raise TagError("not a list of tags")
        found[name.strip()] = "".join(value.split())
    return found
