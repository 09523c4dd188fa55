from django.urls import path

from crypto_agent import views

urlpatterns = [
    path("healthz", views.healthz),
    path(".well-known/did.json", views.did_document),
    path("xrpc/<str:nsid>", views.xrpc),
]
handler404 = views.not_found
handler500 = views.server_error
