"""Training, evaluating, predicting and checking the data of a classifier, with the ImageNet recipe on the digits."""

import json
import pickle
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from deploy_cases import save_image
from run_tool import assert_one_line_error, run_tool

from lcnet_mm.apis import UserError, check_data, load_config, predict, test, train
from lcnet_mm.utils.models import build_model

ROOT = Path(__file__).parents[2]
RECIPE = 'configs/imagenet/pplcnet_0.25x_in1k.py'
SPLITS = ('train', 'val', 'test')
ONE_EPOCH = {
    'train_cfg.max_epochs': 1,
    'train_dataloader.batch_size': 10,
    'val_dataloader.batch_size': 5,
    'default_hooks.logger.interval': 1,
    **{f'{split}_dataloader.num_workers': 0 for split in SPLITS},
    **{f'{split}_dataloader.persistent_workers': False for split in SPLITS},
}
DIGITS = list('0123456789')


def digits_options(root, **more):
    roots = {f'{split}_dataloader.dataset.data_root': f'{root}/' for split in SPLITS}
    classes = {f'{split}_dataloader.dataset.metainfo': dict(classes=DIGITS) for split in SPLITS}
    return {**ONE_EPOCH, **roots, **classes, 'model.head.num_classes': 10, **more}


@pytest.fixture(scope='module')
def trained(imagenet_digits, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('work')
    torch.manual_seed(0)
    train(load_config(RECIPE, digits_options(imagenet_digits)), work_dir=work_dir)
    return work_dir


def test_one_epoch_of_the_recipe(trained):
    (file,) = trained.glob('*/vis_data/scalars.json')
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    steps = [entry for entry in entries if 'loss' in entry]
    # Twenty images, ten at a time; the rate follows the batch size and grows over five epochs of two iterations.
    peak = 0.8 * 10 / 2048
    assert [step['lr'] for step in steps] == pytest.approx([1e-6 * peak, peak * (1e-6 + (1 - 1e-6) / 9)], rel=1e-6)
    assert all(0.8 * np.log(10) < step['loss'] < 3 * np.log(10) for step in steps)
    validation = entries[-1]
    assert validation['accuracy/top1'] % 10 == 0 and validation['accuracy/top5'] >= validation['accuracy/top1']
    assert {path.name for path in trained.glob('*.pth')} >= {'epoch_1.pth'}
    assert list(trained.glob('best_accuracy_top1_epoch_1.pth'))


def test_evaluation_counts_correct_predictions(trained, imagenet_digits, tmp_path):
    cfg = load_config(RECIPE, digits_options(imagenet_digits))
    metrics = test(cfg, trained / 'epoch_1.pth', work_dir=tmp_path, out=tmp_path / 'all.pkl', show_dir='drawings')
    predictions = pickle.loads((tmp_path / 'all.pkl').read_bytes())
    scores = torch.stack([sample['pred_score'] for sample in predictions])
    labels = torch.cat([sample['gt_label'] for sample in predictions])
    assert labels.tolist() == list(range(10))
    order = scores.argsort(1, descending=True)
    for k in (1, 5):
        right = (order[:, :k] == labels[:, None]).any(1).float().mean().item() * 100
        assert metrics[f'accuracy/top{k}'] == pytest.approx(right)
    drawings = sorted(tmp_path.glob('*/drawings/*.png'))
    assert [path.name for path in drawings] == [f'{digit}.png_0.png' for digit in range(10)]
    assert cv2.imread(str(drawings[0])).shape == (224, 224, 3)


def test_drawings_of_a_test_have_the_right_colors(trained, imagenet_digits, tmp_path):
    root = shutil.copytree(imagenet_digits, tmp_path / 'data')
    red = np.zeros((64, 72, 3), np.uint8)
    red[..., 2] = 200
    cv2.imwrite(str(root / 'val' / '0.png'), red)
    cfg = load_config(RECIPE, digits_options(root))
    test(cfg, trained / 'epoch_1.pth', work_dir=tmp_path / 'work', show_dir='drawings')
    drawing = cv2.imread(str(next(tmp_path.glob('work/*/drawings/0.png_0.png'))))
    assert np.abs(drawing[200, 200].astype(int) - (0, 0, 200)).max() <= 3


def test_predictions(trained, tmp_path):
    checkpoint = trained / 'epoch_1.pth'
    # Of the classifier alone; the names come from the checkpoint.
    cfg = load_config(RECIPE, {'model.head.num_classes': 10})
    file = save_image(tmp_path / 'image.png', 300, 420)
    (tmp_path / 'broken.png').write_bytes(b'no image')
    result = predict(cfg, checkpoint, [file, tmp_path / 'broken.png'], tmp_path / 'out', device='cpu')
    assert [failure['file'] for failure in result.failures] == [str(tmp_path / 'broken.png')]
    (entry,) = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['images']
    assert (entry['width'], entry['height']) == (420, 300)

    image = cv2.resize(cv2.imread(str(file)), (358, 256), interpolation=cv2.INTER_LINEAR)[16:240, 67:291]
    mean, std = (np.float32(values) for values in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
    model = build_model(cfg).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=False)['state_dict'])
    with torch.no_grad():
        tensor = torch.from_numpy((image[..., ::-1] - mean) / std).permute(2, 0, 1)[None]
        expected = model(tensor)[0].softmax(0)
    best = expected.argsort(descending=True)[:5]
    assert [top['label'] for top in entry['top']] == best.tolist()
    assert [top['score'] for top in entry['top']] == pytest.approx(expected[best].tolist(), abs=1e-5)
    assert all(top['class'] == str(top['label']) for top in entry['top'])
    drawing = cv2.imread(entry['drawing'])
    assert drawing.shape == (300, 420, 3)
    # The label is in the upper left corner, the rest is the image.
    difference = np.abs(drawing.astype(int) - cv2.imread(str(file))).mean(2)
    assert difference[:40, :120].mean() > 10 and difference[150:].mean() < 3


def test_a_head_without_names_gives_numbers(trained, tmp_path, imagenet_digits):
    checkpoint = torch.load(trained / 'epoch_1.pth', weights_only=False)
    torch.save(dict(state_dict=checkpoint['state_dict'], meta={}), tmp_path / 'bare.pth')
    cfg = load_config(RECIPE, {'model.head.num_classes': 10})
    result = predict(cfg, tmp_path / 'bare.pth', [imagenet_digits / 'val' / '3.png'], tmp_path / 'out', device='cpu')
    assert len(result.images[0]['top']) == 5
    assert {top['class'] for top in result.images[0]['top']} <= set(DIGITS)


def test_imagenets_names(tmp_path, imagenet_digits):
    cfg = load_config(RECIPE)
    model = build_model(cfg)
    model.init_weights()
    # The best classes are decided by the bias.
    model.head.fc.weight.data.zero_()
    model.head.fc.bias.data[[281, 7]] = torch.tensor([3.0, 2.0])
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'a.pth')
    result = predict(cfg, tmp_path / 'a.pth', [imagenet_digits / 'val' / '3.png'], tmp_path / 'out', device='cpu')
    first, second = result.images[0]['top'][:2]
    assert first['class'].startswith('tabby') and first['label'] == 281 and second['class'] == 'cock'
    weights = np.exp([3.0, 2.0]) / (np.exp(3.0) + np.exp(2.0) + 998)
    assert [first['score'], second['score']] == pytest.approx(weights.tolist(), rel=1e-4)


def test_command_lines(imagenet_digits, tmp_path):
    options = [
        f'{key}={json.dumps(value) if isinstance(value, bool) else value}'
        for key, value in digits_options(imagenet_digits).items()
        if 'metainfo' not in key
    ]
    classes = ','.join(f"'{digit}'" for digit in DIGITS)
    options += [f'{split}_dataloader.dataset.metainfo.classes=[{classes}]' for split in SPLITS]
    options = ['--cfg-options', *(option.replace('=false', '=False') for option in options)]
    work_dir = tmp_path / 'work'
    result = run_tool('train.py', RECIPE, '--work-dir', work_dir, *options)
    assert result.returncode == 0, result.stderr
    checkpoint = work_dir / 'epoch_1.pth'
    result = run_tool('test.py', RECIPE, checkpoint, '--work-dir', work_dir, *options)
    assert result.returncode == 0 and 'accuracy/top1: ' in result.stdout + result.stderr, result.stderr
    result = run_tool('predict.py', RECIPE, checkpoint, imagenet_digits / 'val', '--out', tmp_path / 'out', *options)
    assert result.returncode == 0 and '10 images drawn' in result.stdout, result.stderr


def test_missing_imagenet_is_one_line(tmp_path):
    result = run_tool('train.py', ROOT / RECIPE, '--work-dir', tmp_path / 'work', cwd=tmp_path)
    assert_one_line_error(result, 'train data: train is missing', 'data/imagenet', 'train_dataloader.dataset.data_root')


def test_folders_are_checked(imagenet_digits, tmp_path):
    def check(root, *splits, **options):
        check_data(load_config(RECIPE, digits_options(root, **options)), splits)

    check(imagenet_digits, *SPLITS)
    root = shutil.copytree(imagenet_digits, tmp_path / 'data')
    with pytest.raises(UserError, match=r'10 classes, model\.head\.num_classes is 1000'):
        check(root, 'train', **{'model.head.num_classes': 1000})
    (root / 'meta' / 'val.txt').unlink()
    with pytest.raises(UserError, match=r'val has no folder per class.*val_dataloader\.dataset\.ann_file'):
        check(root, 'val')
    for digit in DIGITS:
        (root / 'val' / digit).mkdir()
        (root / 'val' / f'{digit}.png').rename(root / 'val' / digit / 'c.png')
    check(root, 'train', 'val')
    shutil.move(root / 'val' / '9', root / 'val' / 'nine')
    with pytest.raises(UserError, match=r"other class folders than the training data \(first: '9'\)"):
        check(root, 'val')
    shutil.rmtree(root / 'val' / 'nine')
    with pytest.raises(UserError, match=r"val has 9 folders, val_dataloader\.dataset has 10 classes.*'0', '1'"):
        check(root, 'val')
    with pytest.raises(UserError, match=r"another order than the folders.*list them as '0', '1'"):
        check(root, 'train', **{'train_dataloader.dataset.metainfo': dict(classes=list('1023456789'))})
    # Other names are allowed.
    check(root, 'train', **{'train_dataloader.dataset.metainfo': dict(classes=[f'digit {i}' for i in range(10)])})
    shutil.rmtree(root / 'val')
    with pytest.raises(UserError, match='val data: val is missing'):
        check(root, 'val')


def test_data_sets_of_other_layouts_are_left_alone(tmp_path):
    cfg = load_config(RECIPE, {'model.head.num_classes': 10})
    cfg.train_dataloader.dataset = dict(type='CIFAR10', data_root=str(tmp_path), split='train')
    check_data(cfg, ('train',))


def test_the_guides_config_trains_on_folders(imagenet_digits, tmp_path):
    (text,) = re.findall(r'```python\n(.*?)```', (ROOT / 'docs' / 'classification.md').read_text(), re.S)
    root = shutil.copytree(imagenet_digits, tmp_path / 'data')
    for digit in DIGITS:
        (root / 'val' / digit).mkdir()
        (root / 'val' / f'{digit}.png').rename(root / 'val' / digit / 'c.png')
    text = text.replace("'configs/", f"'{ROOT}/configs/")
    text = re.sub(r'num_classes = .*', 'num_classes = 10', text)
    text = re.sub(r'data_root = .*', f"data_root = '{root}/'", text, count=1)
    (tmp_path / 'mine.py').write_text(text)
    options = {key: value for key, value in ONE_EPOCH.items() if 'batch_size' not in key}
    cfg = load_config(tmp_path / 'mine.py', {**options, 'train_dataloader.batch_size': 10})
    runner = train(cfg, work_dir=tmp_path / 'work')
    assert runner.iter == 2 and runner.model.head.fc.out_features == 10
    checkpoint = torch.load(tmp_path / 'work' / 'epoch_1.pth', weights_only=False)
    # The checkpoint has the names of the folders.
    assert list(checkpoint['meta']['dataset_meta']['classes']) == DIGITS
