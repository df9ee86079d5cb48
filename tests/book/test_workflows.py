"""The workflows of the hosting service: they are valid, and they run nothing that the Makefile does not have."""

import re
from pathlib import Path

import pytest
from check_jsonschema import main
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_they_pass_the_linter(tmp_path):
    def lint(*paths: Path):
        return CliRunner().invoke(main, ["--builtin-schema", "vendor.github-workflows", *map(str, paths)])

    assert WORKFLOWS
    done = lint(*WORKFLOWS)
    assert done.exit_code == 0, done.output
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "runs_on:"))
    assert "runs_on" in broken.read_text() and lint(broken).exit_code == 1


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("citation-file-format", ["CITATION.cff"]),
        ("dependabot", [".github/dependabot.yml"]),
        ("github-issue-config", [".github/ISSUE_TEMPLATE/config.yml"]),
        ("github-issue-forms", [f".github/ISSUE_TEMPLATE/{name}.yml" for name in ("claim", "fault", "number")]),
    ],
)
def test_what_others_read_is_as_their_schema_says(schema, files):
    """The schemas come with check-jsonschema; nothing is fetched."""
    paths = [str(ROOT / file) for file in files]
    done = CliRunner().invoke(main, ["--builtin-schema", f"vendor.{schema}", *paths])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_make_is_a_target(workflow):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"run: make (\w+)", workflow.read_text()))
    assert asked and asked <= targets


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(workflow):
    """A tag can be moved to other code."""
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v[\d.]+", one) for one in used)
