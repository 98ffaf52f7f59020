from pathlib import Path

import pytest
from mmengine.registry import MODELS
from modelindex.load_model_index import load

from lcnet_mm.apis import load_config
from lcnet_mm.complexity import measure
from lcnet_mm.model_index import fill_tables, read_metafiles, readmes

ROOT = Path(__file__).parents[1]
MODELS_BY_NAME = {model['Name']: model for models in read_metafiles(ROOT).values() for model in models}


@pytest.mark.parametrize('name', MODELS_BY_NAME)
def test_numbers_are_recomputed(name):
    model = MODELS_BY_NAME[name]
    meta = model['Metadata']
    cfg = load_config(ROOT / model['Config'])
    size = [int(side) for side in str(meta['Input']).split('x')]
    height, width = size * 2 if len(size) == 1 else size
    total = measure(MODELS.build(cfg.model), (3, height, width)).total
    assert (meta['Parameters'], meta['MACs'], meta['FLOPs']) == (total.params, total.macs, total.zoo_flops)
    if cfg.default_scope == 'mmdet':
        assert cfg.test_dataloader.dataset.pipeline[1].scale == (width, height)
    assert cfg.model.backbone.get('widen_factor') == float(meta['Backbone'].split()[-1].removesuffix('x'))


def test_every_config_of_the_family_has_an_entry():
    configs = {path.stem for path in (ROOT / 'configs' / 'picodet_like').glob('*.py')}
    segmentors = {path.stem for path in (ROOT / 'configs' / 'deeplabv3plus').glob('*_cityscapes.py')}
    assert configs | segmentors == set(MODELS_BY_NAME)


def test_results_have_a_source():
    for model in MODELS_BY_NAME.values():
        for result in model.get('Results', []):
            assert result['Source'] in ('paper', 'PaddleDetection zoo') or result['Source'].startswith('here: ')


def test_openmmlab_reads_the_index():
    index = load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    assert len(index.models) == len(MODELS_BY_NAME)


def test_readme_tables_are_up_to_date():
    collections = read_metafiles(ROOT)
    tables = 0
    for readme in readmes(ROOT):
        text = readme.read_text()
        assert fill_tables(text, collections) == text, f'{readme}: run python tools/update_readmes.py'
        tables += text.count('<!-- table: ')
    assert tables == len(collections)
