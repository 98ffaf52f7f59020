from pathlib import Path

import pytest
from mmengine.registry import MODELS
from modelindex.load_model_index import load

from lcnet_mm.apis import load_config
from lcnet_mm.backbones.pplcnet_v2 import ARCHS
from lcnet_mm.data.spec import resolve_config
from lcnet_mm.latency.complexity import measure
from lcnet_mm.weights.metafiles import fill_tables, format_table, read_metafiles, readmes

ROOT = Path(__file__).parents[2]
SOURCES = (
    'paper', 'PaddleDetection zoo', 'PaddleClas documents', 'PaddleClas PULC', 'PaddleX', 'PaddleX documents',
    'PaddleSeg documents', 'not published',
)  # fmt: skip
META = {'Backbone': 'PP-LCNet 0.5x', 'Input': 224, 'Parameters': 5}
# The paper's tables.
PAPER_TOP1 = {
    'pplcnet_0.25x': 51.86, 'pplcnet_0.5x': 63.14, 'pplcnet_1x': 71.32, 'pplcnet_2.5x': 76.60,
    'pplcnet_0.5x_se-1111111111111': 64.27, 'pplcnet_0.5x_kernel-1111111000000': 62.70,
    'pplcnet_0.5x_without-last-conv': 59.91, 'mobilenetv1_1x': 70.99, 'mobilenetv3_large_0.35x': 64.32,
    'shufflenetv2_0.33x': 53.73,
}  # fmt: skip
SOURCES = (
    'paper', 'PaddleDetection zoo', 'PaddleClas documents', 'PaddleClas PULC', 'PaddleX', 'PaddleX documents',
    'PaddleSeg documents', 'not published',
)  # fmt: skip
MODELS_BY_NAME = {model['Name']: model for models in read_metafiles(ROOT).values() for model in models}


@pytest.mark.parametrize('name', MODELS_BY_NAME)
def test_numbers_are_recomputed(name):
    model = MODELS_BY_NAME[name]
    meta = model['Metadata']
    cfg = load_config(ROOT / model['Config'])
    size = [int(side) for side in str(meta['Input']).split('x')]
    height, width = size * 2 if len(size) == 1 else size
    # Of a distillation the student, which alone predicts.
    model_cfg = cfg.model.get('student', cfg.model)
    total = measure(MODELS.build({**model_cfg, '_scope_': cfg.default_scope}), (3, height, width)).total
    assert (meta['Parameters'], meta['MACs'], meta['FLOPs']) == (total.params, total.macs, total.zoo_flops)
    if cfg.default_scope == 'mmdet':
        assert cfg.test_dataloader.dataset.pipeline[1].scale == (width, height)
    if cfg.default_scope == 'mmpretrain':
        assert resolve_config(cfg).input_size == (width, height)
    backbone = model_cfg.get('backbone', {})
    # timm's MobileNetV1 has no other width; a size of PP-LCNetV2 has its own.
    of_arch = ARCHS[backbone.arch].widen_factor if backbone.get('type') == 'PPLCNetV2' else 1.0
    found = backbone.get('widen_factor', of_arch)
    assert found == float(meta['Backbone'].split()[-1].removesuffix('x'))


def test_every_config_of_the_family_has_an_entry():
    configs = {path.stem for path in (ROOT / 'configs' / 'picodet_like').glob('*.py')}
    segmentors = {
        prefix + path.stem
        for name, prefix in (('deeplabv3plus', ''), ('mobileseg', 'mobileseg_'))
        for path in (ROOT / 'configs' / name).glob('*_cityscapes.py')
    }
    classifiers = {path.stem for path in (ROOT / 'configs' / 'imagenet').rglob('*.py')}
    distilled = {path.stem for path in (ROOT / 'configs' / 'ssld').glob('*.py') if 'stage1' not in path.stem}
    documents = {path.stem for path in (ROOT / 'configs' / 'document').glob('*.py')}
    assert configs | segmentors | classifiers | distilled | documents == set(MODELS_BY_NAME)


def test_accuracies_are_those_of_the_paper():
    for name, top1 in PAPER_TOP1.items():
        (result,) = MODELS_BY_NAME[f'{name}_in1k']['Results']
        assert (result['Source'], result['Metrics']['Top 1 Accuracy']) == ('paper', top1)


def test_a_collection_begins_with_its_baseline():
    models = read_metafiles(ROOT)['PP-LCNet ablations']
    assert models[0]['Name'] == 'pplcnet_0.5x_in1k' and len({model['Name'] for model in models}) == len(models) == 10


def test_tables_without_latency_and_in_millions():
    table = format_table([MODELS_BY_NAME['pplcnet_0.5x_in1k'] | {'Metadata': dict(META, MACs=44_731_000)}])
    assert (
        table.splitlines()[-1]
        == '| `pplcnet_0.5x_in1k.py` | PP-LCNet 0.5x | 224 | 5 | 44.731 M | - | 63.14 | 84.66 | paper |'
    )


def test_results_have_a_source():
    for model in MODELS_BY_NAME.values():
        for result in model.get('Results', []):
            assert result['Source'] in SOURCES or result['Source'].startswith('here: ')


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
