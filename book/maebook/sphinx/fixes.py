"""What the theme, its extensions and pandas get wrong, for those who see the page or do not, mended in its HTML.

Each mend is a pattern of theirs, ours instead, and why. What cannot be mended stands in `LEFT` with its reason, and
the accessibility test lets exactly that pass.
"""

import re


def _one_head(found: re.Match[str]) -> str:
    blank, names, index = found.groups()
    return f"<tr>{index}{names}</tr></thead>" if blank.count("<th>") == index.count("<th>") else found[0]


def _breakable(found: re.Match[str]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[._])(?=\w)|(?<=\w)(?=\()", "<wbr>", found[0])


_MENDS = [
    # pandas names an index in a row of its own, below the columns' names and empty but for that.
    (
        re.compile(
            r"<tr[^>]*>\s*((?:<th></th>\s*)+)((?:<th>[^<]+</th>\s*)+)</tr>\s*"
            r"<tr>\s*((?:<th>[^<]*</th>\s*)+?)(?:<th></th>\s*)+</tr>\s*</thead>"
        ),
        _one_head,
    ),
    # A full stop, once its formula is drawn, may begin a line.
    (
        re.compile(r'<span class="math notranslate nohighlight">[^<]*</span>[.,;:!?)]+'),
        r'<span class="mae-glued">\g<0></span>',
    ),
    # The link of a solution begins with a space, which would be underlined.
    (re.compile(r'(?<=<p class="admonition-title">Solution to)(<a [^>]*>) '), r" \1"),
    # A long name breaks between its words, where it must.
    (re.compile(r'(?<=<span class="pre">)[\w.()]{16,}(?=</span>)'), _breakable),
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
