"""Linked masks: choose one, or point at it, and all its points and table rows on the page come forward. No script.

Whatever carries `data-mae-mask="ratio 0.75"` or `"unit 8"` takes part: the points of `ratio_curve`, rows of a table. A
rule for each mask sets `--mae-linked` to 1, and mae.css draws what that means.
"""

from html import escape

from IPython.display import HTML, display

from maebook.study import Study

CONTROLS = '<fieldset class="mae-masks">'  # how they begin


def show_masks(study: Study) -> None:
    """Show a button for each mask ratio and unit of a study, with the rules that link its page."""
    ratios, units = (sorted({mask[x == "unit"] for mask in study.series.by(x)}) for x in ("ratio", "unit"))
    own, at = study.series.scale["unit"], study.series.by("unit")[0][0]
    names = {f"ratio {r:g}": f"r = {r:g}" for r in ratios} | {f"unit {s:g}": f"{s} px" for s in units}
    same = {f"ratio {at:g}", f"unit {own:g}"} & names.keys()  # one mask, of both series
    rules = [_rule(number, same if name in same else {name}) for number, name in enumerate(names)]
    buttons = [_button(number, words) for number, words in enumerate(names.values())]
    none = '<label><input type="radio" name="mae-mask" checked> none</label>'
    display(
        HTML(
            f"{CONTROLS}<legend>Follow a mask: its points and rows on this page are highlighted</legend>"
            f"{none}{''.join(buttons)}</fieldset>"
            f"<style>{''.join(rules)}</style>"
        )
    )


def _button(number: int, words: str) -> str:
    return f'<label><input type="radio" name="mae-mask" id="mae-mask-{number}"> {escape(words)}</label>'


def _rule(number: int, names: set[str]) -> str:
    """What is of these names is linked while one of them is pointed at, or the button with this number is chosen."""
    marks = ",".join(f'[data-mae-mask="{name}"]' for name in sorted(names))
    return f"body:has(#mae-mask-{number}:checked,:is({marks}):hover) :is({marks}){{--mae-linked:1}}"
