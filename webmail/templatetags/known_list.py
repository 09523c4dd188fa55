"""The mark of the list that is between two tags."""

from django import template
from django.template.base import NodeList, Parser, Token
from django.template.context import Context
from django.utils.safestring import SafeString

from webmail.known_list import marked

register = template.Library()


class _Marked(template.Node):
    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        return marked(self.nodelist.render(context), context["counts"].unread)


@register.tag
def known(parser: Parser, _token: Token) -> _Marked:
    """{% known %}…{% endknown %}: what is between them, with its mark and that of `counts`."""
    nodelist = parser.parse(("endknown",))
    parser.delete_first_token()
    return _Marked(nodelist)
