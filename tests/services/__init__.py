"""Starters of the real servers that the tests use."""
