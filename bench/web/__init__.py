"""How fast the pages are that people open, beside the same pages rendered from constants.

An account with 10,000 conversations and 100,000 messages; the agent, the web process and the database are
real ones, and eight clients ask them over HTTP. This package needs no Django of its own: what has to be done
with the agent's or the webmail's database is done by processes of theirs (sealed_messages, filled_index).
"""
