"""What administrators see: of files whose, how large, until when, never an address, a name or a key; and the
reports that people made to them, with what those people chose to disclose."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Model, Sum
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from accounts import token_encryption
from accounts.admin import ReadOnlyAdmin
from accounts.visible import visible
from webmail import reporting
from webmail.models import Blob, Report
from webmail.reportable import Said


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    """Files kept here, newest first."""

    list_display = ("short_hash", "account", "stored", "is_sent", "created_at", "expires_at", "removed_at")
    list_filter = ("created_at", "expires_at", ("removed_at", admin.EmptyFieldListFilter))
    search_fields = ("account__handle", "account__did", "content_hash")
    list_select_related = ("account",)
    fields = (
        "account",
        "content_hash",
        "stored",
        "is_sent",
        "created_at",
        "expires_at",
        "removed_at",
    )
    readonly_fields = fields

    @admin.display(description="hash", ordering="content_hash")
    def short_hash(self, blob: Blob) -> str:
        return str(blob)

    @admin.display(description="size", ordering="size")
    def stored(self, blob: Blob) -> str:
        return filesizeformat(blob.size)

    @admin.display(description="sent", boolean=True)
    def is_sent(self, blob: Blob) -> bool:
        return bool(blob.message_id)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        total = Blob.objects.filter(removed_at=None).aggregate(total=Sum("size"))["total"] or 0
        title = _("Files: %(total)s of %(most)s") % {
            "total": filesizeformat(total),
            "most": filesizeformat(settings.BLOB_STORE_BYTES),
        }
        return super().changelist_view(request, {"title": title, **(extra_context or {})})


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    """Reports, newest first; whoever has dealt with one deletes it, and after 90 days it goes by itself."""

    list_display = ("handle", "did", "reason", "account", "messages", "created_at")
    list_filter = ("reason", "created_at")
    search_fields = ("did", "handle", "account__handle")
    list_select_related = ("account",)
    fields = ("handle", "did", "reason", "account", "created_at", "words", "disclosed")
    readonly_fields = fields

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # As the administrators' own rights say, unlike for what mirrors other places.
        return super(ReadOnlyAdmin, self).has_delete_permission(request, obj)

    @admin.display(description="in their words")
    def words(self, report: Report) -> str:
        try:
            return visible(reporting.disclosed_in(report).words)
        except token_encryption.TokenUnreadable:
            return _("None of this installation's token keys opens it.")

    @admin.display(description="messages that were disclosed")
    def disclosed(self, report: Report) -> str:
        try:
            messages = reporting.disclosed_in(report).messages
        except token_encryption.TokenUnreadable:
            return ""
        return format_html_join("", "{}", ((_said(said),) for said in messages))


def _said(said: Said) -> str:
    """What one message said, each version with its time."""
    lines = []
    for place, version in enumerate(said.versions):
        at = version.at.isoformat(timespec="seconds")
        words = _("A message was taken back") if said.taken_back else visible(version.text)
        lines.append((f"{at} {_('edited')}" if place else at, words))
        if version.more:
            lines.append((reporting.more_characters(version.more), ""))
        if not place and said.left_out:
            lines.append((reporting.versions_left_out(said.left_out), ""))
    for file in said.files:
        described = f"{visible(file.name)} ({visible(file.media_type)}, {filesizeformat(file.size)})"
        lines.append((_("file, not disclosed"), described))
    return format_html("<p>{}</p>", format_html_join(mark_safe("<br>"), "{}<br>{}", lines))
