"""Compute the golden cases with the original Paddle networks. README.md in this folder describes the environment.

A case is a network of PaddleClas or PaddleDetection whose weights are a function of their names and shapes
(``tests/golden_weights.py``), and whose batch norm statistics are those of the case's own input. Only these statistics
and the outputs are stored.

    python tests/data/golden/generate.py --out /tmp/golden      # write all cases to a folder
    python tests/data/golden/generate.py pplcnet_x0.5 --check   # compute one case and compare it with the stored one
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
from paddle import nn

sys.path.insert(0, str(Path(__file__).parents[2]))
from golden_weights import GOLDEN, fill, input_images
from originals import (
    Arrays,
    build_classifier,
    build_detector,
    build_second_classifier,
    build_segmentor,
    losses_generation_1,
    losses_generation_2,
    predict_boxes,
    predict_classes,
    predict_second_classes,
    predict_segments,
)

# Largest difference from a stored array that --check accepts, relative to the array's largest value. CPUs round
# differently, and the float32 outputs of a detector are up to 8e-5 away from those in float64.
TOLERANCE = 5e-4
Losses = Callable[[nn.Layer, paddle.Tensor, dict], Arrays]


class Case(NamedTuple):
    """One golden case.

    Args:
        name: File name without its ending.
        description: What the case is; stored in the JSON file.
        build: Makes the original network from the description.
        predict: Computes the outputs in evaluation from the network and the images.
        losses: Computes the losses from the network, the images and the description; not all cases have them.
        least_variance: Smaller variances of batch norms are raised to this. The means of a whole feature of two images
            are nearly equal in some channels, and a division by nearly nothing would tell nothing.
    """

    name: str
    description: dict
    build: Callable[[dict], nn.Layer]
    predict: Callable[[nn.Layer, paddle.Tensor], Arrays]
    losses: Losses | None = None
    least_variance: float = 0.0


def batch_norms(network: nn.Layer) -> list[nn.Layer]:
    """Return the batch norm layers of a network."""
    return [layer for layer in network.sublayers() if isinstance(layer, nn.BatchNorm2D | nn.BatchNorm)]


def set_weights(network: nn.Layer, images: paddle.Tensor, seed: int, least_variance: float) -> None:
    """Fill the network, and set its batch norm statistics to those of the images, with variances of at least this."""
    network.set_state_dict({key: fill(key, tuple(value.shape), seed) for key, value in network.state_dict().items()})
    for layer in batch_norms(network):
        layer._momentum = 0.0  # the running statistics become those of the batch
    network.train()
    with paddle.no_grad():
        network(images)
    for layer in batch_norms(network) if least_variance else ():
        layer._variance.set_value(paddle.clip(layer._variance, min=least_variance))


def generate(case: Case, folder: Path) -> None:
    """Write ``NAME.json`` and ``NAME.npz`` of a case into a folder."""
    images = input_images(case.description['seed'], case.description['input_size'])
    network = case.build(case.description)
    set_weights(network, paddle.to_tensor(images), case.description['seed'], case.least_variance)
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    network.eval()
    outputs = case.predict(network, paddle.to_tensor(images))
    rounding = rounding_errors(case, state, images, outputs)
    if case.losses:
        network.train()
        for layer in batch_norms(network):
            layer.eval()
        outputs |= case.losses(network, paddle.to_tensor(images), case.description)
    statistics = {f'state/{key}': state[key] for key in state if key.endswith(('._mean', '._variance'))}
    np.savez_compressed(folder / f'{case.name}.npz', **statistics, **outputs)
    shapes = {key: list(value.shape) for key, value in state.items()}
    description = {'name': case.name, **case.description, 'float32_vs_float64': rounding, 'spec': shapes}
    (folder / f'{case.name}.json').write_text(json.dumps(description, indent=0))


def rounding_errors(case: Case, state: Arrays, images: np.ndarray, outputs: Arrays) -> dict[str, float]:
    """Return how far the outputs are from those of the same network in float64."""
    network = case.build(case.description)
    network.set_state_dict(state)
    network.to(dtype='float64')
    network.eval()
    exact = case.predict(network, paddle.to_tensor(images.astype('float64')))
    return {key: float(f'{difference(outputs[key], value):.2g}') for key, value in exact.items()}


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference relative to the largest expected value; infinite where the shapes differ."""
    if actual.shape != expected.shape:
        return float('inf')
    largest = np.abs(actual - expected).max()
    return float(largest / np.abs(expected).max()) if largest else 0.0


def check(case: Case, folder: Path) -> bool:
    """Compare a generated case with the stored one, print the largest differences, and return whether they agree."""
    stored, generated = (json.loads((place / f'{case.name}.json').read_text()) for place in (GOLDEN, folder))
    for description in (stored, generated):
        description.pop('float32_vs_float64', None)  # depends on the CPU
    old, new = (dict(np.load(place / f'{case.name}.npz')) for place in (GOLDEN, folder))
    agree = stored == generated and old.keys() == new.keys()
    print(f'{case.name}: description and names of arrays', 'agree' if agree else 'DIFFER')
    differences = {key: difference(new[key], old[key]) for key in old.keys() & new.keys()}
    for label, of_state in (('batch norm statistics', True), ('outputs', False)):
        kept = [key for key in differences if key.startswith('state/') is of_state]
        worst = max(kept, key=differences.__getitem__)
        print(f'  {label}: largest difference {differences[worst]:.1e} of the largest value ({worst})')
    # Which box a point gets is either the same or not.
    exact = all(value == 0 for key, value in differences.items() if key.endswith('assigned_gt'))
    return agree and exact and all(value < TOLERANCE for value in differences.values())


def classifier(name: str, seed: int, scale: float, input_size: list[int]) -> Case:
    """Return the case of a classifier; ``input_size`` is ``[H, W]``."""
    kind = 'PaddleClas PPLCNet, eval mode'
    description = dict(seed=seed, scale=scale, input_size=input_size, kind=kind)
    return Case(name, description, build_classifier, predict_classes)


def second_classifier(name: str, seed: int, size_name: str, scale: float) -> Case:
    """Return the case of a classifier of the second version."""
    description = dict(
        seed=seed,
        size_name=size_name,
        scale=scale,
        input_size=[224, 224],
        rect_input_size=[197, 251],
        kind='PaddleClas PPLCNetV2, eval mode, branches not folded (dw_conv.weight/bias of the blocks with '
        'dw_conv_list are unused then); logits and s4/s8/s16/s32_mean (channel means of the four stages) of '
        'image(input_size), rect_* of image(rect_input_size); the BN statistics are those of the first',
    )
    return Case(name, description, build_second_classifier, partial(predict_second_classes, description=description))


def segmentor(
    name: str,
    seed: int,
    scale: float,
    feat_channels: list[int],
    backbone: str = 'LCNet',
    input_size: tuple[int, int] = (128, 256),
    **options: str,
) -> Case:
    """Return the case of a MobileSeg with 19 classes; ``feat_channels`` are those of strides 4 to 32."""
    description = dict(
        seed=seed,
        backbone=backbone,
        scale=scale,
        num_classes=19,
        input_size=list(input_size),
        feat_channels=feat_channels,
        **options,
        kind='PaddleSeg MobileSeg (backbone_indices 1 2 3, cm_bin_sizes 1 2 4, cm_out_ch 128, arm_out_chs 32 64 128, '
        'seg_head_inter_chs 32 32 32), eval-mode BN (variances of at least 1e-3); s4..s32_mean: channel means of the '
        'backbone features; head8/16/32: logits of the three heads before the resize; logits8/16/32: the same resized '
        'to the input (bilinear, align_corners False), [:, :, 3::16, 5::16]; evaluation returns logits8',
    )
    return Case(name, description, build_segmentor, predict_segments, least_variance=1e-3)


def detector(
    name: str, seed: int, scale: float, generation: int, kind: str = '', losses: Losses | None = None, **boxes: dict
) -> Case:
    """Return the case of a detector with 96 channels and 320x320 inputs; ``boxes`` are further ground truths."""
    description = dict(
        seed=seed,
        scale=scale,
        neck_channels=96,
        num_convs=2,
        generation=generation,
        num_classes=80,
        input_size=[320, 320],
        kind=kind or f'PaddleDetection PicoDet, eval-mode BN; {PREDICTIONS}',
        gt=BOXES,
        **boxes,
    )
    return Case(name, description, build_detector, predict_boxes, losses)


PREDICTIONS = 'scores (N, classes, every 7th point); boxes (N, points, 4) in input pixels'
# Corners in pixels. A box with mask 0 is padding.
BOXES = {
    'boxes': [
        [
            [30.0, 40.0, 150.0, 200.0],
            [100.0, 20.0, 300.0, 120.0],
            [200.0, 180.0, 260.0, 250.0],
            [10.0, 220.0, 60.0, 310.0],
        ],
        [[5.0, 5.0, 310.0, 310.0], [60.0, 70.0, 90.0, 100.0], [150.0, 150.0, 250.0, 200.0], [0.0, 0.0, 0.0, 0.0]],
    ],
    'labels': [[[3], [17], [0], [4]], [[1], [2], [4], [0]]],
    'mask': [[[1.0], [1.0], [1.0], [1.0]], [[1.0], [1.0], [1.0], [0.0]]],
}
OVERLAPPING_BOXES = {
    'boxes': [
        [[60.0, 60.0, 200.0, 180.0], [70.0, 66.0, 206.0, 190.0], [64.0, 58.0, 190.0, 186.0]],
        [[40.0, 40.0, 280.0, 280.0], [80.0, 60.0, 260.0, 270.0], [120.0, 110.0, 180.0, 190.0]],
    ],
    'labels': [[[3], [1], [0]], [[2], [2], [4]]],
    'mask': [[[1.0], [1.0], [1.0]], [[1.0], [1.0], [1.0]]],
}
LOSSES_OF_GENERATION_1 = (
    f'PaddleDetection PicoDet generation 1 (PicoHead, SimOTA), eval-mode BN; {PREDICTIONS}; loss_* for the ground '
    'truth gt (entries with mask 0 are padding and were left out), image0_only_loss_* with the same boxes in the first '
    'image and none in the second; grad_head_cls{L}_bias: gradient of the sum of the three losses (class outputs '
    'first, then 4 x 8 distances); assigned_gt (N, points): 0 for a negative point, else 1 + the index of the box, '
    'points in the order of the levels, row by row; no_boxes_*: no box in either; overlap_*: for gt_overlap, where 13 '
    'of 34 matches lose their point to another box; assigner: centre radius 2.5, candidate_topk 10, iou_weight 6; loss '
    'weights VFL 1, GIoU 2, DFL 0.25'
)
CASES = (
    classifier('pplcnet_x0.35', seed=11, scale=0.35, input_size=[224, 224]),
    classifier('pplcnet_x0.5', seed=12, scale=0.5, input_size=[192, 224]),
    second_classifier('pplcnetv2_small', seed=31, size_name='small', scale=0.75),
    segmentor('mobileseg_lcnet_0.5', seed=41, scale=0.5, feat_channels=[32, 64, 128, 256]),
    segmentor(
        'mobileseg_mobilenetv3',
        seed=42,
        scale=1.0,
        feat_channels=[24, 40, 112, 160],
        backbone='MobileNetV3',
        input_size=(96, 160),
    ),
    segmentor(
        'mobileseg_attention',
        seed=43,
        scale=0.25,
        feat_channels=[16, 32, 64, 128],
        input_size=(96, 160),
        arm_type='UAFMMobile_SpAtten',
    ),
    detector('picodet_v2_xs', seed=1, scale=0.35, generation=2, losses=losses_generation_2),
    detector('picodet_v1_lcnet_0.5', seed=6, scale=0.5, generation=1),
    detector(
        'picodet_v1_loss_lcnet_0.5',
        seed=23,
        scale=0.5,
        generation=1,
        kind=LOSSES_OF_GENERATION_1,
        losses=losses_generation_1,
        gt_overlap=OVERLAPPING_BOXES,
    ),
)


def main() -> int:
    """Generate the cases that the command line names."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description='Compute golden cases with the original Paddle networks.')
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'cases, all by default: {", ".join(names)}')
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument('--out', type=Path, metavar='DIR', help='write the files into this folder')
    target.add_argument('--check', action='store_true', help='compare with the stored cases; write nothing')
    args = parser.parse_args()
    if unknown := sorted(set(args.names) - set(names)):
        parser.error(f'no case {", ".join(unknown)}; there are {", ".join(names)}')
    agree = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for case in CASES:
            if case.name in (args.names or names):
                generate(case, folder)
                agree = (check(case, folder) if args.check else True) and agree
    return 0 if agree else 1


if __name__ == '__main__':
    sys.exit(main())
