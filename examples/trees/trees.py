"""Train a detector of trees on two aerial photographs, and evaluate it on two others.

The photographs and their boxes are part of the package ``deepforest`` (MIT license, Copyright (c) 2019 Ben Weinstein).
Nothing of the package is imported, so its own dependencies are not needed: ``pip install --no-deps deepforest==2.1.0``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lcnet_launcher import prepare_environment


def parse_args() -> argparse.Namespace:
    """Return the arguments of the command line."""
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(description='Train a detector of trees on aerial photographs, and evaluate it.')
    parser.add_argument(
        '--photographs', type=Path, metavar='DIR', help='folder of the photographs (default: that of deepforest)'
    )
    parser.add_argument('--data', type=Path, metavar='DIR', default=Path('data/trees'), help='folder of the tiles')
    parser.add_argument('--work-dir', type=Path, metavar='DIR', default=Path('work_dirs/trees'))
    parser.add_argument('--config', type=Path, default=Path(__file__).with_name('picodet_xs_320_trees.py'))
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='overrides of the config, such as load_from=lcnet://picodet_xs_320_coco',
    )
    return parser.parse_args()


def main() -> None:
    """Cut the tiles, train or continue, evaluate on the photographs that were not trained on, and draw the results."""
    args = parse_args()
    from tiles import PHOTOGRAPHS, find_photographs, make_tiles

    from lcnet_mm.apis import load_config, predict, test, train
    from lcnet_mm.apis.train import newest_checkpoint
    from lcnet_mm.utils.files import write_json

    data = make_tiles(args.photographs or find_photographs(), args.data)
    for name, counts in data['tiles'].items():
        print(f'{name}: {counts["images"]} tiles, {counts["boxes"]} boxes')
    roots = {f'{split}_dataloader.dataset.data_root': f'{args.data}/' for split in ('train', 'val', 'test')}
    validation = f'{args.data}/annotations/instances_val2017.json'
    files = {'val_evaluator.ann_file': validation, 'test_evaluator.ann_file': validation}
    options = roots | files | args.cfg_options
    train(load_config(args.config, options), work_dir=args.work_dir, resume='auto')
    checkpoint = newest_checkpoint(args.work_dir)
    assert checkpoint is not None

    results = {}
    for name in ('instances_val2017', *PHOTOGRAPHS['val']):
        file = f'annotations/{name}.json'
        here = {'test_dataloader.dataset.ann_file': file, 'test_evaluator.ann_file': f'{args.data}/{file}'}
        metrics = test(load_config(args.config, options | here), checkpoint, work_dir=args.work_dir / 'test')
        results[name] = {key: metrics.get(f'coco/bbox_mAP{key}', 0.0) for key in ('', '_50')}
    # Scores stay low in a short training.
    predict(
        load_config(args.config, options),
        checkpoint,
        [args.data / 'val2017'],
        args.work_dir / 'predictions',
        score_thr=0.1,
    )
    write_json(args.work_dir / 'results.json', results)
    for name, values in results.items():
        print(f'{name}: AP {values[""]:.3f}, AP50 {values["_50"]:.3f}')
    print(f'drawings: {args.work_dir / "predictions"}')


if __name__ == '__main__':
    prepare_environment()
    from lcnet_mm.utils.errors import run_cli

    run_cli(main)
