"""Every address of the web process."""

from django.contrib import admin
from django.urls import include, path

from accounts.admin_sign_in import admin_sign_in
from accounts.agent_admin import agent_status
from webmail import ingress_http
from webmail.views import files

urlpatterns = [
    path("inbox/<str:did>", ingress_http.inbox, name="ingress"),
    path("admin/login/", admin_sign_in),
    path("admin/agent/", admin.site.admin_view(agent_status), name="agent-status"),
    path("blobs/<str:content_hash>/<str:secret>", files.blob, name="blob"),
    path("admin/", admin.site.urls),
    path("", include("accounts.urls")),
    path("", include("webmail.addresses")),
]
