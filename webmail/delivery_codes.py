"""Stable codes of deliveries that more than one place looks for."""

#: Why a delivery is held: its recipient's keys, or those of somebody else who gets the same message.
KEYS_CHANGED, WITH_OTHERS = "keys-changed", "waits-with-others"
#: Why one failed whose sender never looked, by why it was held.
NOT_LOOKED_AT, WAITED_WITH_OTHERS = "keys-not-looked-at", "waited-with-others"
GIVEN_UP = {KEYS_CHANGED: NOT_LOOKED_AT, WITH_OTHERS: WAITED_WITH_OTHERS}
#: Why one may not have arrived: a mail server wrote of it what nobody here can read.
CAME_BACK_UNREAD = "came-back-unread"
