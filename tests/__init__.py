"""The tests, mirroring the packages; `python -m tests` runs every check and every test."""
