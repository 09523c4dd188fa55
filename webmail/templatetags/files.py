"""What pages say of files."""

from django import template
from django.conf import settings

from webmail.blobs.attaching import MAX_FILES

register = template.Library()


@register.simple_tag
def file_limits() -> dict[str, int]:
    """`most_bytes` of one file, `most_files` of a message, and the `days` for which files are kept."""
    return {
        "most_bytes": settings.BLOB_MAX_BYTES,
        "most_files": MAX_FILES,
        "days": settings.BLOB_DAYS,
    }
