"""Every address of the web process."""

from django.contrib import admin
from django.urls import include, path

from webmail import ingress_http

urlpatterns = [
    path("inbox/<str:did>", ingress_http.inbox, name="ingress"),
    path("admin/", admin.site.urls),
    path("", include("accounts.urls")),
    path("", include("webmail.addresses")),
]
