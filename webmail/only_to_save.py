"""The headers of a file that is nothing to look at here: it is saved, and can do nothing even if somebody
opens it."""

ONLY_TO_SAVE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
