"""The addresses of signing in, enrolling, devices, apps and pictures."""

from django.urls import path

from accounts import (
    app_pages,
    browser_pages,
    custody_pages,
    device_pages,
    oauth_client,
    passkey_pages,
    sign_in_pages,
    unlock_pages,
    use_pages,
    welcome_pages,
)

urlpatterns = [
    path("sign-in/", sign_in_pages.sign_in, name="sign-in"),
    path(oauth_client.CALLBACK_PATH[1:], sign_in_pages.callback, name="oauth-callback"),
    path(oauth_client.METADATA_PATH[1:], sign_in_pages.client_metadata, name="oauth-client-metadata"),
    path(oauth_client.JWKS_PATH[1:], sign_in_pages.jwks, name="oauth-jwks"),
    path("sign-in/passkey/", sign_in_pages.sign_in_passkey, name="sign-in-passkey"),
    path("sign-out/", sign_in_pages.sign_out, name="sign-out"),
    path("welcome/", welcome_pages.welcome, name="welcome"),
    path("welcome/lock/", welcome_pages.welcome_lock, name="welcome-lock"),
    path("welcome/done/", welcome_pages.welcome_done, name="welcome-done"),
    path("devices/", device_pages.devices, name="devices"),
    path("devices/published/<int:entry_pk>/", device_pages.entry, name="published-entry"),
    path("devices/published/look/", device_pages.audit, name="published-look"),
    path("devices/uses/", use_pages.uses, name="uses"),
    path("devices/uses/entries/", use_pages.use_entries, name="use-entries"),
    path("unlock/", unlock_pages.unlock, name="unlock"),
    path("lock/", unlock_pages.lock, name="lock"),
    path("lock/state/", unlock_pages.lock_state, name="lock-state"),
    path("passkeys/challenge/", passkey_pages.challenge, name="passkey-challenge"),
    path("passkeys/begin/", passkey_pages.begin, name="passkey-begin"),
    path("devices/keys/", custody_pages.custody, name="custody"),
    path("devices/keys/lock/", custody_pages.make_locked, name="custody-lock"),
    path("devices/keys/managed/", custody_pages.make_managed, name="custody-managed"),
    path("devices/keys/passphrase/", custody_pages.passphrase, name="custody-passphrase"),
    path("devices/keys/recovery-code/", custody_pages.recovery_code, name="custody-recovery-code"),
    path("devices/keys/sign-in/", custody_pages.sign_in_passkey, name="custody-sign-in"),
    path("devices/keys/passkeys/new/", passkey_pages.passkey_new, name="passkey-new"),
    path("devices/keys/passkeys/<str:passkey_id>/lock/", custody_pages.passkey_lock, name="passkey-lock"),
    path(
        "devices/keys/passkeys/<str:passkey_id>/remove/", passkey_pages.passkey_remove, name="passkey-remove"
    ),
    path("devices/browsers/", browser_pages.signed_in_browsers, name="browsers"),
    path("devices/browsers/sign-out/", browser_pages.sign_out_everywhere, name="sign-out-everywhere"),
    path("devices/browsers/<int:session_pk>/sign-out/", browser_pages.sign_out, name="browser-sign-out"),
    path("devices/apps/", app_pages.apps, name="apps"),
    path("devices/apps/new/", app_pages.app_new, name="app-new"),
    path("devices/apps/<str:grant_id>/revoke/", app_pages.app_revoke, name="app-revoke"),
    path("devices/<str:fingerprint>/revoke/", device_pages.device_revoke, name="device-revoke"),
]
