"""What administrators see: people, their devices and sessions, and the certificates of those they write to.

Everything is read-only, since it mirrors what the agent and the PDSes hold. Devices can be revoked, after a
confirmation. No token or key is shown anywhere.
"""

import logging
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts import certificate_fields, enrolment, failures, own_entries
from accounts.models import (
    Account,
    Device,
    OAuthSession,
    Peer,
    PeerCertificate,
    PeerEvent,
    PlcOperation,
    PublishedEntry,
)
from accounts.visible import visible
from crypto_agent.client import AgentError

logger = logging.getLogger(__name__)

# Only the type checker's stubs take the model as a parameter.
if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(AnyModelAdmin):
    """Rows that can be looked at, but not made, changed or deleted by hand."""

    actions_on_bottom = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class StateFilter(admin.SimpleListFilter):
    """Devices by state, with those whose revocation their PDS does not show yet."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((state.value, state.label) for state in Device.State), ("pending", "revocation pending")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = Device.objects.all()
        match self.value():
            case Device.State.ACTIVE.value:
                found = found.active()
            case Device.State.REVOKED.value:
                found = found.revoked()
            case Device.State.EXPIRED.value:
                found = found.expired()
            case Device.State.UNPUBLISHED.value:
                found = found.unpublished()
            case "pending":
                found = found.revoked().filter(withdrawn_at__isnull=True)
            case _:
                return queryset
        return queryset.filter(pk__in=found.values("pk"))


class LateFilter(admin.SimpleListFilter):
    """Devices for which something should have happened by now."""

    title = "late"
    parameter_name = "late"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "something is late")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "yes":
            return queryset
        return queryset.filter(pk__in=Device.objects.late().values("pk"))


class PeerStateFilter(admin.SimpleListFilter):
    """Peers' certificates by state."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.label) for state in PeerCertificate.State]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        present = Q(present=True)
        sound = present & Q(problem="")
        revoked = Q(revoked_at__lte=now)
        expired = Q(not_after__lte=now)
        conditions = {
            PeerCertificate.State.ABSENT.value: ~present,
            PeerCertificate.State.BROKEN.value: present & ~Q(problem=""),
            PeerCertificate.State.REVOKED.value: sound & revoked,
            PeerCertificate.State.EXPIRED.value: sound & expired & (Q(revoked_at__isnull=True) | ~revoked),
            PeerCertificate.State.ACTIVE.value: sound
            & (Q(revoked_at__isnull=True) | Q(revoked_at__gt=now))
            & Q(not_after__gt=now),
        }
        chosen = self.value()
        return queryset.filter(conditions[chosen]) if chosen in conditions else queryset


class CertificateAdmin(ReadOnlyAdmin):
    """Shows what stands in the X.509 certificate of a row."""

    CERTIFICATE_FIELDS = (
        "subject",
        "issuer",
        "serial_number",
        "valid_from",
        "valid_until",
        "alternative_names",
        "public_key",
        "key_usage",
        "extended_key_usage",
        "signature_algorithm",
        "certificate_sha256",
    )

    @admin.display(description="subject")
    def subject(self, row: Any) -> Any:
        return self._field(row, "subject")

    @admin.display(description="issuer")
    def issuer(self, row: Any) -> Any:
        return self._field(row, "issuer")

    @admin.display(description="serial number")
    def serial_number(self, row: Any) -> Any:
        return self._field(row, "serial")

    @admin.display(description="valid from")
    def valid_from(self, row: Any) -> Any:
        return self._field(row, "not_before")

    @admin.display(description="valid until")
    def valid_until(self, row: Any) -> Any:
        return self._field(row, "not_after")

    @admin.display(description="alternative names")
    def alternative_names(self, row: Any) -> str:
        return visible("\n".join(self._field(row, "names")))

    @admin.display(description="public key")
    def public_key(self, row: Any) -> Any:
        return self._field(row, "key")

    @admin.display(description="key usage")
    def key_usage(self, row: Any) -> str:
        return ", ".join(self._field(row, "key_usage"))

    @admin.display(description="extended key usage")
    def extended_key_usage(self, row: Any) -> str:
        return ", ".join(self._field(row, "extended_key_usage"))

    @admin.display(description="signature algorithm")
    def signature_algorithm(self, row: Any) -> Any:
        return self._field(row, "signature")

    @admin.display(description="SHA-256 of the certificate")
    def certificate_sha256(self, row: Any) -> Any:
        return self._field(row, "certificate_sha256")

    @staticmethod
    def _field(row: Any, name: str) -> Any:
        fields = certificate_fields.read(row.certificate_pem)
        found = getattr(fields, name) if fields else ""
        return visible(found) if isinstance(found, str) else found


@admin.register(Device)
class DeviceAdmin(CertificateAdmin):
    list_display = (
        *("short_fingerprint", "account", "state_label", "late_label"),
        *("not_before", "not_after", "published_at", "prekey_published_at"),
    )
    list_filter = (StateFilter, LateFilter)
    list_select_related = ("account",)
    search_fields = ("fingerprint", "serial", "account__did", "account__handle", "account__display_name")
    actions = ("revoke_selected",)
    fieldsets = (
        (None, {"fields": ("account", "fingerprint", "state_label", "late_label")}),
        ("X.509 certificate", {"fields": (*CertificateAdmin.CERTIFICATE_FIELDS, "certificate_pem")}),
        (
            "Publication",
            {
                "fields": (
                    "created_at",
                    "published_at",
                    "prekey_published_at",
                    "prekey_expires_at",
                    "inbox_published_at",
                    "revoked_at",
                    "withdrawn_at",
                    "tombstone_removed_at",
                )
            },
        ),
    )

    @admin.display(description="fingerprint", ordering="fingerprint")
    def short_fingerprint(self, device: Device) -> str:
        return f"{device.fingerprint[:16]}…"

    @admin.display(description="state")
    def state_label(self, device: Device) -> str:
        pending = ", not yet shown by the PDS" if device.withdrawal_pending else ""
        return f"{device.state.label}{pending}"

    @admin.display(description="late")
    def late_label(self, device: Device) -> str:
        return ", ".join(late.label for late in device.late)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("accounts.change_device"))

    @admin.action(description="Revoke the selected devices", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Device]) -> HttpResponse | None:
        """Asks first; on "yes" destroys the keys of each device and says so in its owner's repository."""
        chosen = queryset.filter(Q(revoked_at__isnull=True) | Q(withdrawn_at__isnull=True))
        devices = list(chosen.select_related("account"))
        if not devices:
            self.message_user(request, "These devices are revoked already.", messages.WARNING)
            return None
        if request.POST.get("confirm") != "yes":
            context = {
                **self.admin_site.each_context(request),
                "title": "Revoke these devices?",
                "devices": devices,
                "opts": self.opts,
                "action_checkbox_name": ACTION_CHECKBOX_NAME,
            }
            return TemplateResponse(request, "admin/accounts/device/revoke.html", context)
        for device in devices:
            self._revoke(request, device)
        return None

    def _revoke(self, request: HttpRequest, device: Device) -> None:
        name = f"{device.fingerprint[:16]}… of {device.account.handle}"
        try:
            enrolment.revoke(device.account, device.fingerprint)
        except AgentError as error:
            logger.warning("revoking %s stopped: %s", device, error.code)
            self.message_user(request, f"{name} is not revoked. {failures.sentence(error)}", messages.ERROR)
            return
        except failures.PUBLISHING as error:
            logger.warning("withdrawing %s waits: %s", device, error.code)
            self.message_user(
                request,
                f"{name} is revoked here: its keys are destroyed. Its owner's PDS does not say so yet "
                f"({failures.sentence(error)}). The record is withdrawn when the owner next signs in.",
                messages.WARNING,
            )
        else:
            self.message_user(request, f"{name} is revoked, and its owner's PDS says so.", messages.SUCCESS)
        self.log_change(request, device, "Revoked.")


@admin.register(PeerCertificate)
class PeerCertificateAdmin(CertificateAdmin):
    list_display = ("short_fingerprint", "peer", "state_label", "not_after", "problem", "checked_at")
    list_filter = (PeerStateFilter,)
    list_select_related = ("peer",)
    search_fields = ("fingerprint", "peer__did", "peer__handle", "peer__display_name")
    fieldsets = (
        (None, {"fields": ("peer", "fingerprint", "state_label", "problem", "prekey_problem")}),
        ("X.509 certificate", {"fields": (*CertificateAdmin.CERTIFICATE_FIELDS, "certificate_pem")}),
        (
            "As last seen",
            {"fields": ("present", "revoked_at", "prekey", "first_seen_at", "last_seen_at", "checked_at")},
        ),
    )

    @admin.display(description="fingerprint", ordering="fingerprint")
    def short_fingerprint(self, row: PeerCertificate) -> str:
        return f"{row.fingerprint[:16]}…"

    @admin.display(description="state")
    def state_label(self, row: PeerCertificate) -> str:
        return str(row.state.label)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("handle", "display_name", "did", "pds_url", "custody", "enrolled_at", "signed_in_at")
    list_filter = (
        ("enrolled_at", admin.EmptyFieldListFilter),
        "closing_waits_for",
        "custody",
        "passkey_required",
    )
    search_fields = ("did", "handle", "display_name", "pds_url")


@admin.register(OAuthSession)
class OAuthSessionAdmin(ReadOnlyAdmin):
    list_display = ("account", "issuer", "created_at", "refreshed_at", "access_expires_at")
    list_select_related = ("account",)
    search_fields = ("account__did", "account__handle", "issuer")
    fields = ("account", "issuer", "scope", "created_at", "refreshed_at", "access_expires_at")


@admin.register(Peer)
class PeerAdmin(ReadOnlyAdmin):
    list_display = ("handle", "display_name", "did", "pds_url", "checked_at")
    search_fields = ("did", "handle", "display_name", "pds_url")


@admin.register(PeerEvent)
class PeerEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "peer", "kind", "subject", "former")
    list_filter = ("kind",)
    list_select_related = ("peer",)
    search_fields = ("peer__did", "peer__handle", "subject", "former")


@admin.register(PlcOperation)
class PlcOperationAdmin(ReadOnlyAdmin):
    list_display = (
        "cid",
        "peer",
        "position",
        "created_at",
        "handle",
        "pds_url",
        "nullified",
        "missing_since",
    )
    list_filter = ("nullified", ("missing_since", admin.EmptyFieldListFilter))
    list_select_related = ("peer",)
    search_fields = ("cid", "peer__did", "peer__handle")


class TroubleFilter(admin.SimpleListFilter):
    """Entries that their account's owner should look at."""

    title = "trouble"
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "unknown or missing")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "yes":
            return queryset
        return queryset.filter(pk__in=[entry.pk for entry in own_entries.all_troubles()])


@admin.register(PublishedEntry)
class PublishedEntryAdmin(ReadOnlyAdmin):
    list_display = (
        "account",
        "kind",
        "value",
        "known",
        "expected",
        "present",
        "first_seen_at",
        "last_seen_at",
    )
    list_filter = (TroubleFilter, "kind")
    list_select_related = ("account",)
    search_fields = ("account__did", "account__handle", "value")
