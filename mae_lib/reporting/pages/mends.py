"""What the theme and its extensions get wrong for those who do not see the page, mended in the finished HTML.

Each mend is a pattern of theirs, ours instead, and why. What cannot be mended stands in `LEFT` with its reason, and
the accessibility test lets exactly that pass.
"""

import re

_MENDS = [
    # The title and the search field of the side bar lie outside of every landmark.
    (
        re.compile(r'<div class="sidebar-primary-items__start sidebar-primary__section">'),
        '<div class="sidebar-primary-items__start sidebar-primary__section" role="navigation" aria-label="Book">',
    ),
    # An empty corner of a table is no header (pandas writes one above an index).
    (re.compile(r"<th></th>"), "<td></td>"),
    # `doc-biblioentry` is deprecated, and an entry of a list has to be an item of it.
    (re.compile(r'role="doc-biblioentry"'), 'role="listitem"'),
]

# axe rule -> why it is left as it is.
LEFT: dict[str, str] = {}


def mended(text: str) -> str:
    """A finished page with the mends in place."""
    for wrong, right in _MENDS:
        text = wrong.sub(right, text)
    return text
