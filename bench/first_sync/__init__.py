"""How long it takes until a mailbox full of envelopes is in the index, beside a bare fetch of the same."""
