"""The index over the mailbox: conversations, messages, what is on its way, what was kept aside.

Conversations and their messages can be rebuilt from the mailbox (see rebuild.py). What people chose, noted,
and are still writing or sending exists here alone (docs/overview.md names it all).
Message text is present only as `sealed`, which the crypto agent alone can open.
"""

from webmail.models.account_import import AccountImport
from webmail.models.arrival import Arrival, MailboxCursor
from webmail.models.blob import Blob
from webmail.models.blocked_address import BlockedAddress
from webmail.models.consent import ConsentChoice, GraphEntry, WhoMayWrite
from webmail.models.contact import Contact
from webmail.models.conversation import Conversation, ConversationMember
from webmail.models.delivery import Delivery, DeliveryCopy
from webmail.models.draft import Draft
from webmail.models.message import Message
from webmail.models.outgoing_mail import (
    OutgoingMail,
    OutgoingMailRecipient,
    OutgoingMailRound,
    UnsentAnswer,
)
from webmail.models.pending import PendingMessage
from webmail.models.preview_choice import PreviewChoice
from webmail.models.push_subscription import PushSubscription
from webmail.models.receipt import Acknowledgement, Receipt, ReceiptChoice
from webmail.models.report import Report, ReportFile
from webmail.models.undo_choice import UndoChoice
from webmail.models.verification import Verification

__all__ = [
    "AccountImport",
    "Acknowledgement",
    "Arrival",
    "Blob",
    "BlockedAddress",
    "ConsentChoice",
    "Contact",
    "Conversation",
    "ConversationMember",
    "Delivery",
    "DeliveryCopy",
    "Draft",
    "GraphEntry",
    "MailboxCursor",
    "Message",
    "OutgoingMail",
    "OutgoingMailRecipient",
    "OutgoingMailRound",
    "PendingMessage",
    "PreviewChoice",
    "PushSubscription",
    "Receipt",
    "ReceiptChoice",
    "Report",
    "ReportFile",
    "UndoChoice",
    "UnsentAnswer",
    "Verification",
    "WhoMayWrite",
]
