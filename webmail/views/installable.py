"""What makes the pages an app on a device: manifest, service worker, and the page without a network."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

#: Path in static/, sizes, purpose (W3C Web Application Manifest).
ICONS = (
    ("favicon.svg", "any", "any"),
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-maskable-512.png", "512x512", "maskable"),
)


@require_safe
def manifest(request: HttpRequest) -> HttpResponse:
    """The web app manifest."""
    answer = JsonResponse(
        {
            "name": "Waxwing",
            "short_name": "Waxwing",
            "description": _("Sealed conversations with people on the AT Protocol"),
            "id": "/",
            "start_url": reverse("inbox"),
            "scope": "/",
            "display": "standalone",
            "background_color": "#f5f0e6",
            "theme_color": "#f5f0e6",
            "icons": [
                {"src": static(path), "sizes": sizes, "purpose": purpose} for path, sizes, purpose in ICONS
            ],
            "shortcuts": [{"name": _("New conversation"), "url": reverse("new-conversation")}],
        },
        content_type="application/manifest+json",
    )
    answer["Cache-Control"] = "max-age=3600"
    return answer


@require_safe
def service_worker(request: HttpRequest) -> HttpResponse:
    """What a browser keeps for when no page is open; at the root, so that it covers every page."""
    answer = render(request, "webmail/service-worker.js", content_type="text/javascript")
    answer["Cache-Control"] = "no-cache"
    return answer


@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """What the service worker shows without a network. It holds nothing of anybody."""
    return render(request, "webmail/offline.html")
