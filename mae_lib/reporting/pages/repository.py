"""Where the book's source is hosted, and the addresses that open a notebook there.

The one place that knows it is `repository-code` in CITATION.cff; a build on a hosting service may name it instead in
`$MAE_LIB_REPOSITORY`. Without either no page has launch buttons.
"""

import os
import re

import yaml

from mae_lib.folders import checkout

_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?$")


def repository() -> str | None:
    """The repository's address, None where none is set. Raises ValueError for one that is not on GitHub."""
    root = checkout()
    cited = yaml.safe_load((root / "CITATION.cff").read_text()).get("repository-code") if root else None
    address = os.environ.get("MAE_LIB_REPOSITORY") or cited
    if address and not _GITHUB.match(address):
        raise ValueError(f"repository {address!r} is not of the form https://github.com/OWNER/NAME")
    return address


def launch_addresses(notebook: str, branch: str = "main") -> dict[str, str]:
    """Service -> address that opens notebooks/`notebook`.ipynb there; empty without a repository."""
    if not (address := repository()):
        return {}
    owner, name = _GITHUB.match(address).groups()
    file = f"notebooks/{notebook}.ipynb"
    return {
        "Binder": f"https://mybinder.org/v2/gh/{owner}/{name}/{branch}?labpath={file}",
        "Colab": f"https://colab.research.google.com/github/{owner}/{name}/blob/{branch}/{file}",
    }


def launch_links(notebook: str) -> str:
    """The same as links of a page's head."""
    found = launch_addresses(notebook).items()
    return "".join(f'<a class="mae-chip mae-launch" href="{address}">Open in {name}</a>' for name, address in found)
