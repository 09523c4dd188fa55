"""Where the wrapped private keys of a prekey belong: to one generation of one device."""

from collections.abc import Iterable

from crypto_agent.custody import AccountKeys
from crypto_agent.errors import CannotUnseal
from crypto_agent.purposes import Context, Purpose


def prekey_contexts(purpose: Purpose, did: str, fingerprint: str, generation: int) -> tuple[Context, Context]:
    """What such a key is encrypted in, and what it may be in still from before that named its generation."""
    return (
        Context(purpose, did, device=f"{fingerprint} {generation}"),
        Context(purpose, did, device=fingerprint),
    )


def decrypt_prekey(
    keys: AccountKeys, purpose: Purpose, fingerprint: str, generation: int, wrapped: bytes, key_version: int
) -> bytes:
    """The raw key of this generation; raises CannotUnseal for one that was put into another's row."""
    contexts = prekey_contexts(purpose, keys.did, fingerprint, generation)
    return decrypt_in_either(keys, contexts, wrapped, key_version)


def decrypt_in_either(
    keys: AccountKeys, contexts: Iterable[Context | None], wrapped: bytes, key_version: int
) -> bytes:
    """What was encrypted in one of the contexts; raises CannotUnseal."""
    for context in contexts:
        if context is not None:
            try:
                return keys.decrypt(context, wrapped, key_version)
            except CannotUnseal:
                continue
    raise CannotUnseal("it can't be unsealed here")
