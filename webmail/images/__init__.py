"""Images: what may be shown in a thread, and what is taken out of them before they are encrypted."""
