"""The rules: each is used, described and of a known severity."""

import re
from pathlib import Path

from lcnet_mm.data import RULES

ROOT = Path(__file__).parents[2]


def test_the_guide_lists_exactly_the_rules():
    text = (ROOT / 'docs' / 'data.md').read_text(encoding='utf-8')
    rows = {row[0]: row[1:] for row in re.findall(r'^\| `([\w-]+)` \| ([^|]+) \| (.+) \|$', text, re.MULTILINE)}
    expected = {}
    for name, rule in RULES.items():
        marks = [word for word, is_set in (('grows', rule.grows), ('fix', rule.fixable)) if is_set]
        expected[name] = (', '.join([rule.severity, *marks]), rule.text)
    assert {name: rows[name] for name in rows if name in expected} == expected
    assert {rule.severity for rule in RULES.values()} == {'error', 'warning', 'note'}
    assert not any(rule.grows and rule.severity != 'warning' for rule in RULES.values())


def test_every_rule_is_used_and_tested():
    sources = [path for path in (ROOT / 'lcnet_mm' / 'data').glob('*.py') if path.name != 'rules.py']
    used = ''.join(path.read_text(encoding='utf-8') for path in sources)
    patterns = ('annotation-{kind}-missing', 'annotation-{kind}-type', 'annotation-{kind}-unknown')
    assert all(pattern in used for pattern in patterns)
    built = {f'annotation-{kind}-{what}' for kind in ('image', 'category') for what in ('missing', 'type', 'unknown')}
    assert [name for name in RULES if f"'{name}'" not in used and name not in built] == []
    tests = ''.join(path.read_text(encoding='utf-8') for path in (ROOT / 'tests' / 'data').glob('*.py'))
    untested = {name for name in RULES if f"'{name}'" not in tests and not name.startswith('cityscapes')}
    # These are tested by the text of their one line.
    assert untested <= {'config-batch', 'config-checkpoint'}
