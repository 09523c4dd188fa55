"""What may stand before the @ of an address that mail is sent to."""

#: A dot-atom (RFC 5321 §4.1.2) of at most 64 octets, as a pattern.
LOCAL_PART = r"[!#-'*+\--9=?A-Z^-~]{1,64}"
