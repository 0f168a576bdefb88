"""The histogram of the console: its lines, its columns, and the table beneath."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from app.audit import NO_FIGURES
from app.audit.statistics.figures import histogram
from app.server.console.figures.histogram import Bar, Histogram, histogram_of, round_steps
from app.server.templating import environment
from app.translation import number_text


@pytest.mark.parametrize("highest", [0, 1, 2, 3, 7, 10, 49, 134, 501, 9_999, 10_000])
def test_lines_are_few_round_and_reach_the_highest_column(highest: int) -> None:
    steps = round_steps(highest)
    assert 3 <= len(steps) <= 7
    assert steps[0] == 0
    assert steps[-1] >= highest
    assert str(steps[1])[0] in "125"
    assert set(str(steps[1])[1:]) <= {"0"}


def _drawn(data: Histogram) -> ET.Element:
    module: Any = environment.get_template("histogram.html").module
    return ET.fromstring(f"<div>{module.histogram(data, 'Time to agent of 4 calls')}</div>")  # noqa: S314 - our own


def test_columns_are_as_high_as_their_counts() -> None:
    drawn = _drawn(Histogram((Bar("≤ 1 s", "1", 3), Bar("≤ 2 s", "2", 0), Bar("> 2 s", "more", 1)), (0, 1, 2, 3, 4)))
    columns = drawn.findall("div/svg/rect")
    assert len(columns) == 2
    high, low = (float(column.attrib["height"]) for column in columns)
    assert high == pytest.approx(3 * low, abs=0.2)
    # All stand on the same line, side by side.
    assert len({float(each.attrib["y"]) + float(each.attrib["height"]) for each in columns}) == 1
    first, last = (float(each.attrib["x"].rstrip("%")) for each in columns)
    assert 0 < first < 100 / 3
    assert 200 / 3 < last < 100


def test_the_table_beneath_has_what_the_picture_shows() -> None:
    drawn = _drawn(histogram_of(replace(NO_FIGURES, histogram=histogram([0.2, 0.3, 0.4, 70.0]))))
    rows = [["".join(cell.itertext()) for cell in row] for row in drawn.findall(".//tbody/tr")]
    assert rows[:3] == [["≤ 0.25 s", "1"], ["≤ 0.5 s", "2"], ["≤ 1 s", "0"]]
    assert rows[-1] == ["> 60 s", "1"]
    picture = drawn.find("div/svg")
    assert picture is not None
    assert picture.attrib["role"] == "img"
    assert "the table below" in picture.attrib["aria-label"]
    values = [text.text for text in drawn.findall("div/svg/text") if text.attrib.get("class") == "value"]
    assert values == ["1", "2", "1"]


def test_texts_that_do_not_fit_narrow_columns_are_marked() -> None:
    bars = tuple(Bar(f"≤ {bound} s", str(bound), count) for bound, count in ((0.25, 999), (0.5, 1_000), (1, 3)))
    texts = _drawn(Histogram(bars, (0, 500, 1_000))).findall("div/svg/text")
    marks = {text.text: text.attrib.get("class") for text in texts}
    assert (marks["0.25"], marks["0.5"], marks["1"]) == (None, "second", None)
    values = {text.text: text.attrib["class"] for text in texts if "value" in text.attrib.get("class", "")}
    assert values == {"3": "value", "999": "value", number_text(1_000): "value long"}
