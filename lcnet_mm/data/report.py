"""What a check of data says: findings with a rule and a severity, and what would be trained on."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .rules import ERROR, NOTE, RULES, WARNING

_WIDTH = 110
_CLASSES_SHOWN = 60
_ORDER = (ERROR, WARNING, NOTE)
# A warning about data that the loader leaves out becomes an error when it concerns more than this share.
_TOLERATED_SHARE = 0.01


@dataclass
class Finding:
    """One kind of fault or remark, and how often it was found in one source.

    Attributes:
        rule: Its name in :data:`~lcnet_mm.data.rules.RULES`.
        severity: 'error' if training or evaluation would fail or be spoiled, 'warning' if something is left out or
            suspicious, 'note' otherwise.
        text: What it is, and what to do.
        count: How often it was found.
        examples: The first few, with file and line or id.
        source: The file, folder or split that was checked.
        fixable: Whether :func:`~lcnet_mm.data.fix_coco` repairs it.
    """

    rule: str
    severity: str
    text: str
    count: int = 0
    examples: list[str] = field(default_factory=list)
    source: str = ''
    fixable: bool = False

    def format(self) -> str:
        """Return the finding as one line."""
        examples = ', '.join(self.examples) + (', …' if 0 < len(self.examples) < self.count else '')
        shown = f' ({examples})' if self.examples else ''
        return f'{self.severity}: {self.count} x {self.text}{shown} [{self.rule}]'

    def sentence(self) -> str:
        """Return the finding for an error message, without its severity."""
        count = f'{self.count} x ' if self.count > 1 else ''
        shown = f' (first: {self.examples[0]})' if self.examples else ''
        return f'{count}{self.text}{shown}'


class Findings:
    """Collects the findings of one source.

    Args:
        source: The file, folder or split that is checked.
        max_listed: Examples that each finding keeps.
    """

    def __init__(self, source: str = '', max_listed: int = 5) -> None:
        self.source = source
        self.max_listed = max_listed
        self._by_key: dict[tuple[str, str], Finding] = {}

    def add(
        self, rule: str, *examples: object, text: str | None = None, severity: str | None = None, count: int = 1
    ) -> None:
        """Count one more case of a rule, or ``count`` of them.

        Args:
            rule: One of :data:`~lcnet_mm.data.rules.RULES`.
            *examples: File, line or id of the first few cases.
            text: What it is, where it needs more words than the rule has.
            severity: Another severity than that of the rule.
            count: Number of cases.
        """
        known = RULES[rule]
        text = text or known.text
        finding = self._by_key.setdefault(
            (rule, text), Finding(rule, severity or known.severity, text, source=self.source, fixable=known.fixable)
        )
        finding.count += int(count)
        free = self.max_listed - len(finding.examples)
        finding.examples += [_clean(example) for example in examples[: max(free, 0)]]

    def add_rows(self, rule: str, mask: np.ndarray, describe: Callable[[int], str], total: int | None = None) -> None:
        """Count the rows where a mask is set.

        Args:
            rule: One of :data:`~lcnet_mm.data.rules.RULES`.
            mask: Bool ``(N,)``.
            describe: The text of an example from the index of its row.
            total: For a rule that tolerates a small share: the number that the share is of.
        """
        rows = np.flatnonzero(mask)
        if not len(rows):
            return
        severity = ERROR if RULES[rule].grows and len(rows) > _TOLERATED_SHARE * (total or len(mask)) else None
        self.add(rule, *(describe(int(row)) for row in rows[: self.max_listed]), severity=severity, count=len(rows))

    def change(self, prefix: str, severity: str) -> None:
        """Give the errors of all rules that begin with a prefix another severity."""
        for finding in self._by_key.values():
            if finding.rule.startswith(prefix) and finding.severity == ERROR:
                finding.severity = severity

    def count(self, prefix: str) -> int:
        """Return how many cases there are of errors whose rules begin with a prefix."""
        found = self._by_key.values()
        return sum(f.count for f in found if f.rule.startswith(prefix) and f.severity == ERROR)

    def sorted(self) -> list[Finding]:
        """Return the findings, errors first."""
        return sorted(self._by_key.values(), key=lambda finding: _ORDER.index(finding.severity))


def _clean(example: object) -> str:
    """Return an example on one line, shortened; a name in a broken file may hold anything."""
    text = ' '.join(str(example).encode('utf-8', 'replace').decode().split())
    return text if len(text) <= 400 else f'{text[:399]}…'


@dataclass
class Summary:
    """What one data set would give to a training or an evaluation.

    Attributes:
        source: The file or folder.
        kind: The format: 'COCO', 'VOC', 'label maps', 'class folders', 'list', 'images' or 'Cityscapes'.
        images: Number of images that are listed.
        used: Number of images that the loader uses.
        unit: What is counted per class: 'boxes', 'images', or 'share of pixels'.
        per_class: Count by class name, in the order of the labels.
        left_out: What the loader leaves out, by reason.
        split: 'train', 'val' or 'test' where the data set is one of a config.
    """

    source: str
    kind: str
    images: int
    used: int
    unit: str = 'boxes'
    per_class: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    split: str = ''

    def format(self) -> list[str]:
        """Return the summary as lines."""
        total = '' if self.unit.startswith('share') else f', {sum(self.per_class.values()):,.0f} {self.unit}'
        title = f'{self.split}: ' if self.split else ''
        lines = [f'{title}{self.source} ({self.kind}): {self.images:,} images, {self.used:,} used{total}']
        if self.per_class:
            lines += _wrap(f'{len(self.per_class)} classes, {self.unit}: {self._format_classes()}')
        if any(self.left_out.values()):
            lines += _wrap(f'left out: {format_counts(self.left_out)}')
        return lines

    def _format_classes(self) -> str:
        items = list(self.per_class.items())
        if len(items) > _CLASSES_SHOWN:
            ordered = sorted(items, key=lambda item: -item[1])
            ends = [*ordered[: _CLASSES_SHOWN // 4], None, *ordered[-_CLASSES_SHOWN // 4 :]]
            return ', '.join(self._format_class(item) if item else '…' for item in ends)
        return ', '.join(map(self._format_class, items))

    def _format_class(self, item: tuple[str, float]) -> str:
        name, count = item
        return f'{_clean(name)} {count:.2%}' if self.unit.startswith('share') else f'{_clean(name)} {count:,.0f}'


@dataclass
class DataFacts:
    """What checks across data sets need to know of one.

    Attributes:
        summary: What it would give.
        files: The image files as the loader will open them.
        classes: The names of the labels in their order; None if they are not known.
    """

    summary: Summary
    files: list[Path]
    classes: list[str] | None = None


def format_counts(counts: dict[str, int]) -> str:
    """Return counts by reason on one line, without those that are 0."""
    return ', '.join(f'{reason}: {count:,}' for reason, count in counts.items() if count)


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent='  ', subsequent_indent='    ', break_long_words=False)


@dataclass
class Report:
    """What a check found.

    Attributes:
        summaries: What each data set would give.
        findings: Errors first, then warnings and notes.
    """

    summaries: list[Summary] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """The findings that are errors."""
        return [finding for finding in self.findings if finding.severity == ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """The findings that are warnings."""
        return [finding for finding in self.findings if finding.severity == WARNING]

    @property
    def ok(self) -> bool:
        """Whether there are no errors; warnings and notes do not count."""
        return not self.errors

    @property
    def exit_code(self) -> int:
        """1 with errors, else 0."""
        return 0 if self.ok else 1

    def add(self, findings: Findings | Iterable[Finding], *summaries: Summary) -> None:
        """Add what was found in one more source."""
        new = findings.sorted() if isinstance(findings, Findings) else findings
        self.summaries += summaries
        self.findings = sorted([*self.findings, *new], key=lambda finding: _ORDER.index(finding.severity))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return dict(
            ok=self.ok,
            images=sum(summary.images for summary in self.summaries),
            counts={severity: sum(f.severity == severity for f in self.findings) for severity in _ORDER},
            data=[vars(summary) for summary in self.summaries],
            findings=[vars(finding) for finding in self.findings],
        )

    def format_table(self) -> str:
        """Return the report as text for one screen."""
        lines = [line for summary in self.summaries for line in summary.format()]
        several = len({finding.source for finding in self.findings}) > 1
        for finding in self.findings:
            where = f' in {finding.source}' if several and finding.source else ''
            lines.append(finding.format() + where)
        lines.append('no errors' if self.ok else 'errors were found')
        return '\n'.join(lines)


def shorten(names: Sequence[str], count: int = 10) -> str:
    """Name the first few of a list."""
    return ', '.join(map(repr, names[:count])) + (f' … ({len(names)} in all)' if len(names) > count else '')
