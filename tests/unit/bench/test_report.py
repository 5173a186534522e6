import pytest

from bench.bounds import judge
from bench.figures import Spread
from bench.report import BEGIN, END, write_page


def test_only_the_generated_part_of_the_page_is_replaced(tmp_path):
    """What people wrote before and after it stays."""
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n{BEGIN}\nold\n{END}\nend\n")
    write_page("new", page)
    write_page("newer", page)
    assert page.read_text() == f"# Title\n{BEGIN}\n\nnewer\n{END}\nend\n"


def test_a_page_without_markers_is_left_alone(tmp_path):
    """Rather an error than a page whose text is gone."""
    page = tmp_path / "page.md"
    page.write_text("# Title\n")
    with pytest.raises(ValueError, match="markers"):
        write_page("new", page)
    assert page.read_text() == "# Title\n"


def test_a_missing_figure_is_no_verdict():
    """Over the bound is a miss, at the bound is held, unmeasured is neither."""
    figures = {
        "ratio/cpu/2000/nginx": Spread(2.6, 2.0, 3.0, 3),
        "added_p99/1000/tollway": Spread(2.0, 2.0, 2.0, 3),
    }
    held = {verdict.bound.figure: verdict.held for verdict in judge(figures)}
    assert held["ratio/cpu/2000/nginx"] is False
    assert held["added_p99/1000/tollway"] is True
    assert held["ratio/cpu/2000/envoy"] is None
