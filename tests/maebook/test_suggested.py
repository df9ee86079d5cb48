"""Section 3.6 as its page opens it."""

import json

from fakes import fake_suggestions

from maebook.suggested import open_suggested


def test_words_say_which_preset_each_table_is_of(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    masks = fake_suggestions(tmp_path / "suggestions") / "masks.json"
    assert open_suggested("book", [0]).words == "published at preset smoke, 2 seeds"
    record = json.loads(masks.read_text())
    masks.write_text(json.dumps(record | {"parameters": record["parameters"] | {"preset": "laptop"}}))
    words = "published at preset smoke (boundary, extremes) and laptop (masks), 2 seeds"
    assert open_suggested("book", [0]).words == words
