#!/bin/sh
# Starts $CHROMIUM without the suggestions of its address bar. They are pages that it loads anew for every
# window, and that take longer than most of ours. Only the last --disable-features on a command line counts,
# so this is added to Playwright's own.
for argument; do
    case "$argument" in
        --disable-features=*) argument="$argument,WebUIOmniboxPopup,WebUIOmniboxAimPopup" ;;
    esac
    set -- "$@" "$argument"
    shift
done
exec "$CHROMIUM" "$@"
