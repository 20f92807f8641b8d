"""A ticket in each medium."""

from __future__ import annotations

import pytest

from client_sdk.printer_media.lines import Line, columns_of, cut, marked_repeat, printable, wrapped
from client_sdk.printer_media.picture import CELL_HEIGHT, CELL_WIDTH, picture_of
from client_sdk.printer_media.plain_text import text_of
from client_sdk.printer_media.star_markup import markup_of


def test_a_korean_letter_takes_two_columns() -> None:
    assert columns_of("김밥 2") == 6


@pytest.mark.parametrize("columns", [2, 5, 9])
def test_lines_break_at_spaces_and_long_words_anywhere(columns: int) -> None:
    text = "a bb 김치찌개 cccccccccc"
    lines = wrapped(text, columns)
    assert all(columns_of(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_no_letter_is_lost_in_a_cut() -> None:
    assert cut("가나다", 4) == ["가나", "다"]
    assert cut("", 4) == [""]


def test_control_characters_become_spaces_and_decomposed_letters_whole_ones() -> None:
    assert printable("a\x1bb\u202ec") == "a b c"
    assert printable("\u1100\u1161") == "가"


def test_text_shows_every_line() -> None:
    assert text_of([Line("가", "large"), Line(style="rule"), Line("b")], 5) == "가\n-----\nb\n"


def test_markup_names_styles_and_escapes_what_would_be_markup() -> None:
    lines = [Line("2 [cut] \\ x", "large"), Line("  b", "bold"), Line("c", "inverse")]
    assert markup_of(lines, 10) == (
        "[align: left]\\\n"
        "[magnify: width 2; height 2]2 \\[cut\\] \\\\ x[magnify]\n"
        "[bold: on]\\ \\ b[bold: off]\n"
        "[negative: on]c[negative: off]\n"
        "[cut: feed; partial]\n"
    )


def test_a_picture_is_as_wide_as_the_paper_and_as_high_as_its_lines() -> None:
    picture = picture_of([Line("a"), Line("b", "large")], 42)
    assert picture.width == 42 * CELL_WIDTH
    assert picture.height == 3 * CELL_HEIGHT + 8
    assert picture.mode == "1"


def test_a_letter_stands_in_its_own_columns() -> None:
    picture = picture_of([Line("    김")], 24)
    left, _, right, _ = picture.convert("L").point(lambda value: 255 - value).getbbox() or (0,) * 4
    assert 4 * CELL_WIDTH <= left < right <= 6 * CELL_WIDTH


def test_an_inverse_line_is_white_on_black() -> None:
    picture = picture_of([Line("", "inverse")], 24)
    assert picture.getpixel((100, CELL_HEIGHT // 2)) == 0


def test_a_repeat_is_marked_above_everything_else() -> None:
    marked = marked_repeat([Line("a")], "ko", 42)
    assert (marked[0].style, marked[-1]) == ("large", Line("a"))
    assert "REPEAT" in marked[0].text
    assert "재출력" in marked[0].text
