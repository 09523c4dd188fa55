"""Waking browsers that have no page open, through the push services of their makers, without any content."""
