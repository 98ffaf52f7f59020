"""Files that can be read in one sitting: up to 400 lines, heads of detectors and segmentors up to 500."""

from pathlib import Path

PACKAGE = Path(__file__).parents[2] / 'lcnet_mm'
LIMIT, LIMIT_OF_HEADS = 400, 500


def too_long(root: Path) -> dict[str, int]:
    """Return the number of lines of each Python file that has more than it may."""
    result = {}
    for path in sorted(root.rglob('*.py')):
        name = path.relative_to(root)
        is_head = name.parts[0] in ('detection', 'segmentation') and 'heads' in (*name.parts[1:-1], name.stem)
        count = len(path.read_text(encoding='utf-8').splitlines())
        if count > (LIMIT_OF_HEADS if is_head else LIMIT):
            result[name.as_posix()] = count
    return result


def test_no_file_is_too_long():
    assert len(list(PACKAGE.rglob('*.py'))) > 100
    assert not too_long(PACKAGE)


def test_long_files_are_found(tmp_path):
    """The check itself."""
    files = {'a.py': 400, 'b.py': 401, 'detection/heads/c.py': 500, 'detection/heads/d.py': 501, 'data/heads/e.py': 401}
    files |= {'segmentation/heads.py': 450, 'segmentation/losses.py': 401, 'detection/f.py': 401}
    for name, count in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('#\n' * count)
    assert too_long(tmp_path) == {
        'b.py': 401,
        'data/heads/e.py': 401,
        'detection/f.py': 401,
        'detection/heads/d.py': 501,
        'segmentation/losses.py': 401,
    }
