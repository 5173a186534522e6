"""The check of pages: links, named paths, decisions, changelog fragments."""

from pathlib import Path

from tools.check_docs import dead_links, dead_paths, wrong_decisions, wrong_fragments


def test_a_link_to_a_missing_file_is_seen(tmp_path: Path) -> None:
    """Relative links are followed from the page; the rest is left alone."""
    (tmp_path / "there.md").write_text("")
    page = tmp_path / "page.md"
    text = "[a](there.md#part) [b](scheme://host/x) [c](#here) [d](gone.md)"
    assert list(dead_links(page, text)) == [f"{page}: link to gone.md"]


def test_a_named_path_must_exist(tmp_path: Path) -> None:
    """Paths in backticks, with wildcards, are looked up in the tree."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("")
    text = "`src/a.py` `src/*.py` `src/b.py` `docs/*.md` `other/c.py`"
    complaints = list(dead_paths(Path("page.md"), text, tmp_path))
    assert complaints == ["page.md: names src/b.py", "page.md: names docs/*.md"]


def test_decisions_have_a_number_of_their_own_and_a_status(tmp_path: Path) -> None:
    """Two records with one number, and one without status, are refused."""
    (tmp_path / "0001-a.md").write_text("# A\n\nStatus: accepted\n")
    assert list(wrong_decisions(tmp_path)) == []
    (tmp_path / "0001-b.md").write_text("# B\n")
    assert len(list(wrong_decisions(tmp_path))) == 2


def test_fragments_say_their_kind(tmp_path: Path) -> None:
    """`ISSUE.KIND.md` and nothing else."""
    (tmp_path / "2.added.md").write_text("")
    assert list(wrong_fragments(tmp_path)) == []
    (tmp_path / "2.md").write_text("")
    assert len(list(wrong_fragments(tmp_path))) == 1
