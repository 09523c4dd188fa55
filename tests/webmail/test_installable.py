"""What makes the pages an app on a device: it must be complete, and hold nothing of anybody."""

from __future__ import annotations

import json
import re

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client
from PIL import Image

pytestmark = pytest.mark.django_db


def test_the_manifest_names_icons_of_the_sizes_that_it_says() -> None:
    answer = Client().get("/manifest.webmanifest")
    assert answer["Content-Type"] == "application/manifest+json"
    manifest = json.loads(answer.content)
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/", "/", "standalone")
    sizes = set()
    for icon in manifest["icons"]:
        path = finders.find(icon["src"].removeprefix(f"/{settings.STATIC_URL.strip('/')}/"))
        assert isinstance(path, str), icon
        if icon["sizes"] != "any":
            with Image.open(path) as image:
                assert "{}x{}".format(*image.size) == icon["sizes"]
        sizes.add((icon["sizes"], icon["purpose"]))
    assert {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")} <= sizes


def test_the_service_worker_keeps_only_what_is_the_same_for_all() -> None:
    client = Client()
    answer = client.get("/service-worker.js")
    assert answer["Content-Type"] == "text/javascript"
    assert answer["Cache-Control"] == "no-cache"
    script = answer.content.decode()
    listed = re.search(r"const KEPT = \[(.*?)\];", script)
    assert listed
    assert all(path == "OFFLINE" or path.startswith('"/static/') for path in listed[1].split(", ")), listed[1]
    # Nothing but that list is ever put into its cache.
    assert re.findall(r"\.(put|add|addAll)\(", script) == ["addAll"]
    assert 'const OFFLINE = "/offline/"' in script


def test_the_page_without_a_network_needs_nobody_signed_in() -> None:
    page = Client().get("/offline/")
    assert page.status_code == 200
    assert "keeps no messages on this device" in page.content.decode()
    assert "set-cookie" not in {name.lower() for name in page.headers}
