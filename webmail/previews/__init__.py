"""Previews of links, made by whoever sends them: who receives one asks nobody for anything.

Made in the web process, which has a way out and in which somebody waits for them: what the page said goes
nowhere but into that person's own composer, and no queue carries it.
"""
