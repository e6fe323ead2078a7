"""The dashboard's rows and graphs as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from xdpctl.cli.screen.blocks import graph
from xdpctl.cli.screen.cells import Columns, Shown, fitted, head_cells, row_cells
from xdpctl.cli.text import Unit, count, rate
from xdpctl.observe.history import Line
from xdpctl.observe.rates import Rate


def line(**more) -> Line:
    known = {"key": "tcp", "packets": 1234, "bytes": 98765, "rate": Rate(12.0, 1500.0)}
    return Line(**({"history": (), "present": True} | known | more))


def test_graph_is_as_high_as_the_largest_value_and_leaves_gaps_out() -> None:
    # Of one line of eighths: zero is the first, the largest the eighth, half of it 1 + 3.5 -> 5.
    assert graph([0.0, None, 7.0, 14.0], 6) == ["  ▁ ▅█"]


def test_graph_shows_the_latest_values_of_those_that_fit_in() -> None:
    assert graph([100.0, 1.0, 1.0, 0.0], 3) == ["██▁"]


def test_what_is_not_nothing_is_higher_than_nothing() -> None:
    assert graph([0.0, 0.001, 1000.0], 3) == ["▁▂█"]


def test_graph_of_two_lines_has_sixteen_steps() -> None:
    # 15 is the largest: 8 is 1 + 8 = 9 eighths, one of them in the upper line.
    assert graph([0.0, 7.0, 8.0, 15.0], 4, 2) == ["  ▁█", "▁███"]


@given(st.lists(st.none() | st.floats(0, 1e15), max_size=80), st.integers(1, 70), st.integers(1, 8))
def test_graph_fills_its_rectangle_whatever_the_values(values, width, height) -> None:
    drawn = graph(values, width, height)
    assert [len(each) for each in drawn] == [width] * height


@pytest.mark.parametrize(
    ("unit", "of_rate", "of_total"),
    [
        (Unit.PACKETS, "12", "1,234"),
        (Unit.BITS, "12 k", "790,120"),  # 1,500 and 98,765 bytes, times 8
        (Unit.BYTES, "1.5 k", "98,765"),
    ],
)
def test_row_has_its_rate_and_its_total_in_one_unit(unit, of_rate, of_total) -> None:
    cells = row_cells(line(), "", Shown(unit), Columns.of(80))
    assert (cells.rate.strip(), cells.total.strip()) == (of_rate, of_total)
    assert head_cells("x", unit, Columns.of(80)).rate.strip() == f"{unit.value}/s"


def test_row_whose_bytes_are_not_counted_is_told_in_packets() -> None:
    cells = row_cells(line(bytes=None), "", Shown(Unit.BITS), Columns.of(80))
    assert (cells.rate.strip(), cells.total.strip()) == ("12", "1,234")


def test_totals_are_short_where_that_is_asked_for_and_where_they_are_too_long() -> None:
    def total(packets: int, short: bool) -> str:
        return row_cells(line(packets=packets), "", Shown(short=short), Columns.of(80)).total

    assert total(1234, True).strip() == "1.23 k"
    assert total(10**13, False).strip() == "10 T"
    assert total(9_999_999_999_999, False) == "9,999,999,999,999"


def test_what_could_not_be_measured_is_a_dash() -> None:
    assert (rate(None), count(None)) == ("-", "-")
    assert row_cells(line(rate=None), "", Shown(), Columns.of(80)).rate.strip() == "-"


def test_control_characters_of_a_name_are_escaped() -> None:
    assert "\x1b" not in row_cells(line(key="a\x1b[31m"), "", Shown(), Columns.of(80)).name


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "M"])), st.integers(0, 40))
def test_fitted_text_takes_as_many_cells_as_it_is_told(text, width) -> None:
    assert cell_len(fitted(text, width)) == width


@given(st.integers(31, 300))
def test_columns_fill_the_width(width) -> None:
    cells = row_cells(line(), "a note", Shown(), Columns.of(width))
    assert cell_len(f"> {cells.numbers}{cells.spark}") == width
