#!/usr/bin/env python
"""Runs Django's management commands for the webmail (for the agent's, see crypto_agent/__main__.py)."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
