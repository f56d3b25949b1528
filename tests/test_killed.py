"""One kill at a point stands for kills at all lines up to the next one (support/killed)."""

from pathlib import Path

from tests.support import killed


def test_a_kill_at_any_line_leaves_what_the_point_before_it_leaves(tmp_path: Path) -> None:
    def work(folder: Path) -> None:
        text = "one"
        one = folder / "one"
        one.write_text(text)
        text = text.upper()
        one.write_text(text)  # as long as before
        text = ""
        one.chmod(0o640)
        one.rename(folder / "two")
        del text

    def read(folder: Path) -> list[tuple[str, int, str]]:
        paths = sorted(folder.iterdir())
        return [(it.name, it.stat().st_mode & 0o777, it.read_text()) for it in paths]

    def kill(at: int) -> list[tuple[str, int, str]]:
        folder = tmp_path / str(at)
        folder.mkdir()
        assert killed.run(lambda: work(folder), at, {__file__})
        return read(folder)

    whole = tmp_path / "whole"
    whole.mkdir()
    points = killed.find_points(lambda: work(whole), {__file__}, [whole])
    left = [kill(at) for at in range(1, points.lines + 1)]
    changed = [at for at in range(2, points.lines + 1) if left[at - 1] != left[at - 2]]
    assert points.first == (1, *changed)
    assert len(changed) == 4
