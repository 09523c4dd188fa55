"""Ordinary mail, which nobody sealed: reading it apart from everything else, and answering it."""
