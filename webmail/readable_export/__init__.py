"""Conversations as plain text, for a person to keep and for other programs to read: mbox and JSON.

The formats are described in docs/readable-export.md. What is written there and here is the same.
"""
