"""What administrators see: of files whose, how large, until when, never an address, a name or a key; and the
reports that people made to them, with what those people chose to disclose."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import content_disposition_header
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from accounts import token_encryption
from accounts.admin import ReadOnlyAdmin
from accounts.visible import visible
from webmail import disclosed_files, reporting
from webmail.blobs.names import OTHER_TYPE, safe_name
from webmail.models import Blob, Report, ReportFile
from webmail.only_to_save import ONLY_TO_SAVE
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

    def get_urls(self) -> list[URLPattern]:
        address = path(
            "<int:report_pk>/files/<int:place>/",
            self.admin_site.admin_view(self.file_view),
            name="webmail_report_file",
        )
        return [address, *super().get_urls()]

    def file_view(self, request: HttpRequest, report_pk: int, place: int) -> HttpResponse:
        """A file that was disclosed with a report, to be saved and never shown here."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        report = Report.objects.filter(pk=report_pk).first()
        if report is None:
            raise Http404
        try:
            name = safe_name(reporting.disclosed_in(report).files[place].name) or "file"
            data = disclosed_files.kept(report, place)
        except (IndexError, ReportFile.DoesNotExist, token_encryption.TokenUnreadable) as error:
            raise Http404 from error
        headers = {
            **ONLY_TO_SAVE,
            "Content-Disposition": content_disposition_header(True, name) or "attachment",
        }
        return HttpResponse(data, content_type=OTHER_TYPE, headers=headers)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        total, most = disclosed_files.bytes_kept(), settings.REPORT_FILES_BYTES
        title = f"Reports: their files take {filesizeformat(total)} of {filesizeformat(most)}"
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

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
        places = count()
        return format_html_join("", "{}", ((_said(report, said, places),) for said in messages))


def _said(report: Report, said: Said, places: Iterator[int]) -> str:
    """What one message said, each version with its time; `places` numbers the files that were disclosed."""
    lines = []
    for number, version in enumerate(said.versions):
        at = version.at.isoformat(timespec="seconds")
        words = _("A message was taken back") if said.taken_back else visible(version.text)
        lines.append((f"{at} {_('edited')}" if number else at, words))
        if version.more:
            lines.append((reporting.more_characters(version.more), ""))
        if not number and said.left_out:
            lines.append((reporting.versions_left_out(said.left_out), ""))
    for file in said.files:
        described = f"{visible(file.name)} ({visible(file.media_type)}, {filesizeformat(file.size)})"
        if not file.sha256:
            lines.append((_("file, not disclosed"), described))
            continue
        address = reverse("admin:webmail_report_file", args=[report.pk, next(places)])
        link = format_html('<a href="{}" download>{}</a>', address, described)
        lines.append(("file, to be saved and not opened here", link))
        lines.append((f"SHA-256: {file.sha256}", ""))
    return format_html("<p>{}</p>", format_html_join(mark_safe("<br>"), "{}<br>{}", lines))
