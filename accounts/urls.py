"""The addresses of signing in, enrolling, devices, apps and pictures."""

from django.urls import path

from accounts import app_pages, device_pages, oauth_client, sign_in_pages, welcome_pages

urlpatterns = [
    path("sign-in/", sign_in_pages.sign_in, name="sign-in"),
    path(oauth_client.CALLBACK_PATH[1:], sign_in_pages.callback, name="oauth-callback"),
    path(oauth_client.METADATA_PATH[1:], sign_in_pages.client_metadata, name="oauth-client-metadata"),
    path(oauth_client.JWKS_PATH[1:], sign_in_pages.jwks, name="oauth-jwks"),
    path("sign-out/", sign_in_pages.sign_out, name="sign-out"),
    path("welcome/", welcome_pages.welcome, name="welcome"),
    path("welcome/done/", welcome_pages.welcome_done, name="welcome-done"),
    path("devices/", device_pages.devices, name="devices"),
    path("devices/apps/", app_pages.apps, name="apps"),
    path("devices/apps/new/", app_pages.app_new, name="app-new"),
    path("devices/apps/<str:grant_id>/revoke/", app_pages.app_revoke, name="app-revoke"),
    path("devices/<str:fingerprint>/revoke/", device_pages.device_revoke, name="device-revoke"),
    path("avatar/<str:did>", device_pages.avatar, name="avatar"),
]
