"""The real disk's calls that have a second form where a system lacks the first."""

import os
from pathlib import Path

import pytest

from tollway.adapters.journal.medium import Medium


@pytest.mark.parametrize("lacking", [False, True])
def test_allocated_files_have_their_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: bool
) -> None:
    """With and without posix_fallocate the file has its size and reads as zeros."""
    if lacking:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    for size_bytes in (4096, 16384):
        Medium().allocate(fd, size_bytes)
        assert path.read_bytes() == bytes(size_bytes)
        assert path.stat().st_blocks * 512 >= size_bytes
    os.close(fd)


@pytest.mark.parametrize("lacking", [False, True])
def test_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: bool) -> None:
    """fdatasync, or fsync where there is none; folders too."""
    if lacking:
        monkeypatch.delattr(os, "fdatasync", raising=False)
    fd = os.open(tmp_path, os.O_RDONLY)
    Medium().sync(fd)
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor"):
        Medium().sync(fd)


def test_mapped_files_share_the_page_cache(tmp_path: Path) -> None:
    """What is stored is what another process reads at once; words are native and 64 bits wide."""
    path = tmp_path / "file"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    Medium().allocate(fd, 4096)
    Medium().map_bytes(fd, 4096)[8:12] = b"abcd"
    words = Medium().map_words(fd, 4096)
    words[0] = 2**64 - 1
    assert path.read_bytes()[:12] == b"\xff" * 8 + b"abcd"
    assert words[1] == int.from_bytes(b"abcd", "little")
    os.close(fd)
