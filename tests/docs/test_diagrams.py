"""The diagrams are those that docs/diagrams/draw.py draws, and show what the code does."""

import importlib.util
from itertools import groupby
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

DIAGRAMS = Path(__file__).parents[2] / 'docs' / 'diagrams'


def load_draw() -> ModuleType:
    spec = importlib.util.spec_from_file_location('draw', DIAGRAMS / 'draw.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DRAW = load_draw()


@pytest.mark.parametrize('name', DRAW.DIAGRAMS)
def test_files_are_up_to_date(name):
    text = (DIAGRAMS / f'{name}.svg').read_text(encoding='utf-8')
    assert text == DRAW.DIAGRAMS[name](), 'run python docs/diagrams/draw.py'
    root = ElementTree.fromstring(text)
    # A phone shows it at about 0.85 of this width, and the smallest text then has ten pixels.
    assert int(root.get('viewBox').split()[2]) <= 420


def test_network_is_that_of_the_backbone():
    from lcnet_mm import PPLCNet
    from lcnet_mm.backbones.layers import SELayer
    from lcnet_mm.backbones.pplcnet import BLOCKS

    model = PPLCNet(out_indices=(0, 1, 2, 3, 4))
    stem, *stages = DRAW.STAGES
    assert (model.conv1.conv.kernel_size, model.conv1.conv.stride) == ((stem[3][0][0],) * 2, (stem[3][0][1],) * 2)
    assert model.conv1.conv.out_channels == stem[2]
    for (_, name, channels, drawn), info, (_, blocks) in zip(
        stages, model.feature_info, groupby(BLOCKS, key=lambda block: block.stage), strict=True
    ):
        built = [
            (block.dw_conv.conv.kernel_size[0], block.dw_conv.conv.stride[0], isinstance(block.se, SELayer))
            for block in getattr(model, name)
        ]
        assert (name, channels, drawn) == (info['module'], info['num_chs'], tuple(built))
        assert len(built) == len(list(blocks))
