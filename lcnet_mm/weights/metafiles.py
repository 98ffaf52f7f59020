"""Write the tables of the READMEs from the metafiles, which hold the numbers of each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_BEGIN = '<!-- table: {} -->'
_END = '<!-- end of table -->'
# Columns of the results of each task.
METRICS = {
    'Image Classification': ('Top 1 Accuracy', 'Top 5 Accuracy'),
    'Object Detection': ('box AP', 'box AP50'),
    'Semantic Segmentation': ('mIoU',),
}
# In billions, the MACs of a classifier would be small fractions.
_MAC_UNITS = {'Image Classification': (1e6, 'M')}


def read_metafiles(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Read all metafiles that ``model-index.yml`` imports.

    Args:
        root: Folder of ``model-index.yml``.

    Returns:
        The models of each collection, in the order of the metafiles. If the metadata of a collection name a model of
        another one as ``Baseline``, it comes first.
    """
    collections: dict[str, list[dict[str, Any]]] = {}
    for path in yaml.safe_load((root / 'model-index.yml').read_text())['Import']:
        metafile = yaml.safe_load((root / path).read_text())
        for collection in metafile['Collections']:
            collections.setdefault(collection['Name'], [])
        for model in metafile['Models']:
            collections[model['In Collection']].append(model)
        models = {model['Name']: model for model in metafile['Models']}
        for collection in metafile['Collections']:
            if 'Baseline' in collection['Metadata']:
                collections[collection['Name']].insert(0, models[collection['Metadata']['Baseline']])
    return collections


def format_table(models: list[dict[str, Any]]) -> str:
    """Return a Markdown table of a collection's models."""
    tasks = {result['Task'] for model in models for result in model.get('Results', [])}
    (task,) = tasks
    metrics = METRICS[task]
    unit, letter = _MAC_UNITS.get(task, (1e9, 'G'))
    columns = ['config', 'backbone', 'input', 'parameters', 'MACs', 'ms, 1 / 2 threads', *metrics, 'source']
    rows = ['| ' + ' | '.join(columns) + ' |', '|' + '---|' * len(columns)]
    for model in models:
        meta = model['Metadata']
        result = (model.get('Results') or [{}])[0]
        found = result.get('Metrics', {})
        latency = ' / '.join(map(str, meta.get('Latency', []))) or '-'
        cells = [
            f'`{Path(model["Config"]).name}`',
            meta['Backbone'],
            str(meta['Input']),
            f'{meta["Parameters"]:,}',
            f'{meta["MACs"] / unit:.3f} {letter}',
            latency,
            *(str(found.get(metric, '-')) for metric in metrics),
            result.get('Source', 'no published result'),
        ]
        rows.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(rows)


def fill_tables(text: str, collections: dict[str, list[dict[str, Any]]]) -> str:
    """Replace the text between the markers of each collection's table."""
    for name, models in collections.items():
        begin = _BEGIN.format(name)
        if begin not in text:
            continue
        before, rest = text.split(begin, 1)
        _, after = rest.split(_END, 1)
        text = f'{before}{begin}\n\n{format_table(models)}\n\n{_END}{after}'
    return text


def readmes(root: Path) -> list[Path]:
    """Return the READMEs that hold tables."""
    return [root / 'README.md', *sorted((root / 'configs').glob('*/README.md'))]


def update_readmes(root: Path) -> list[Path]:
    """Rewrite the tables of all READMEs and return the READMEs that changed."""
    collections = read_metafiles(root)
    changed = []
    for readme in readmes(root):
        text = readme.read_text()
        filled = fill_tables(text, collections)
        if filled != text:
            readme.write_text(filled)
            changed.append(readme)
    return changed
