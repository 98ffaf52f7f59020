"""Mining of hundreds of images: hashes, selection, resuming and errors."""

import json
import os
import threading

import cv2
import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from lcnet_mm.classification.datasets import ImageList
from lcnet_mm.demos import make_digits_dataset
from lcnet_mm.demos.street_images import compose_street
from lcnet_mm.mining import Source, Teacher, mine_images, perceptual_hash, pool, run, teacher_of_timm
from lcnet_mm.mining.selection import _CANDIDATE, _best_of_each_class, _nearest_hashes, select
from lcnet_mm.utils.errors import UserError
from lcnet_mm.utils.images import find_images, read_image

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(16, 16)), dict(type='PackInputs')]


@MODELS.register_module()
class ChannelTeacher(BaseModel):
    """A teacher whose class is the strongest channel of an image, so that every score can be computed by hand."""

    def __init__(self, classes=3):
        super().__init__(dict(type='mmpretrain.ClsDataPreprocessor'))
        self.scale = nn.Parameter(torch.full((classes,), 0.1))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        logits = inputs.mean((2, 3))[:, : len(self.scale)] * self.scale
        return [DataSample().set_pred_score(score) for score in logits.softmax(1)]


def expected_score(path):
    """Return the class and the probability that the teacher gives to a file."""
    image = cv2.resize(cv2.imread(str(path)), (16, 16)).astype(np.float64)
    power = np.exp(image.mean((0, 1)) * 0.1)
    return int(power.argmax()), float(power.max() / power.sum())


def random_image(*seed):
    """Return an image of soft spots in which one channel is stronger than the others."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.uniform(40, 160, (12, 12, 3)), (96, 80), interpolation=cv2.INTER_CUBIC)
    image[..., rng.integers(3)] += rng.uniform(2, 60)
    return image.clip(0, 255).astype(np.uint8)


def compress(image):
    return cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)


COPIES = {
    'same': lambda image: image,
    'compressed': compress,
    'smaller': lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    'larger': lambda image: cv2.resize(image, None, fx=1.4, fy=1.4, interpolation=cv2.INTER_CUBIC),
    'brighter': lambda image: cv2.convertScaleAbs(image, alpha=1.1, beta=8),
    'all': lambda image: compress(
        cv2.convertScaleAbs(cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), alpha=1.1, beta=8)
    ),
}


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """Make ``pool`` (300 images, 12 copies of validation images, 3 unreadable files) and ``val`` (12 images)."""
    root = tmp_path_factory.mktemp('mining')
    for number in range(300):
        write(root / 'pool' / f'folder {number // 100}' / f'{number:03d}.png', random_image(0, number))
    for number in range(12):
        image = random_image(1, number)
        write(root / 'val' / f'{number:02d}.png', image)
        kind = list(COPIES)[number % 6]
        write(root / 'pool' / 'copies' / f'{number:02d} {kind}.png', COPIES[kind](image))
    (root / 'pool' / 'empty.jpg').write_bytes(b'')
    (root / 'pool' / 'text.jpg').write_text('no image')
    (root / 'pool' / 'truncated.png').write_bytes((root / 'val' / '00.png').read_bytes()[:-500])
    return root


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def teacher(**arguments):
    init_default_scope('mmpretrain')
    return Teacher(dict(type='ChannelTeacher'), PIPELINE, None, device='cpu', **arguments)


def mine(images, tmp_path, **arguments):
    given = dict(top_k=20, batch_size=16, workers=0, progress=False, max_unreadable=0.02)
    sources = [arguments.pop(name, Source([images / name])) for name in ('pool', 'val')]
    model = arguments.pop('teacher', None) or teacher()
    return mine_images(*sources, model, tmp_path / 'out.txt', tmp_path / 'work', **given | arguments)


def expected_list(images, top_k):
    """Return the list by its definition: every image that is not a copy, ranked within its best class."""
    ranked = sorted(
        (label, -score, path)
        for path in (images / 'pool').glob('folder*/*.png')
        for label, score in [expected_score(path)]
    )
    return {label: [str(path) for found, _, path in ranked if found == label][:top_k] for label in range(3)}


def test_the_best_of_each_class_are_listed(images, tmp_path):
    report = mine(images, tmp_path, with_label=True, workers=2)
    expected = expected_list(images, 20)
    lines = (tmp_path / 'out.txt').read_text().splitlines()
    assert lines == [f'{path} {label}' for label in range(3) for path in expected[label]]
    assert (report.kept, report.pool['size'], report.pool['unreadable']) == (60, 315, 3)
    for entry, path in zip(report.classes, (expected[label][-1] for label in range(3)), strict=True):
        assert entry['kept'] == 20 and entry['threshold'] == pytest.approx(expected_score(path)[1], abs=2e-3)
    assert sum(entry['candidates'] for entry in report.classes) == 300
    listed = ImageList(str(tmp_path / 'out.txt'), with_label=True, pipeline=PIPELINE)
    assert len(listed) == 60 and listed[0]['data_samples'].gt_label.item() == 0
    json.dumps(report.to_dict())
    assert '60 of 315 images' in report.format_table()


def test_unreadable_and_copies_are_named(images, tmp_path):
    report = mine(images, tmp_path)
    root = str(images / 'pool')
    reason = 'not an image, or truncated'
    names = ('empty.jpg', 'text.jpg', 'truncated.png')
    assert report.pool['unreadable_files'] == [dict(file=f'{root}/{name}', reason=reason) for name in names]
    found = {entry['file']: entry['val'] for entry in report.duplicates['files']}
    copies = sorted((images / 'pool' / 'copies').iterdir())
    assert found == {str(copy): str(images / 'val' / f'{copy.name[:2]}.png') for copy in copies}
    assert report.duplicates['count'] == 12 and report.val == dict(
        size=12, resumed=0, unreadable=0, unreadable_files=[]
    )
    assert all(entry['distance'] <= 8 for entry in report.duplicates['files'])


def test_copies_are_found_and_other_images_are_not(tmp_path):
    """Near-duplicates of real scenes and digits differ in at most 8 of 64 bits, different ones in more."""
    make_digits_dataset(tmp_path / 'digits', num_train=40, num_val=2, progress=False)
    digits = [read_image(path) for path in find_images([tmp_path / 'digits' / 'train2017'])]
    streets = [compose_street((256, 128), np.random.default_rng([7, number])).image for number in range(60)]
    for images in (streets, digits):
        hashes = np.array([perceptual_hash(image) for image in images], np.uint64)
        for kind, change in COPIES.items():
            copies = np.array([perceptual_hash(change(image)) for image in images], np.uint64)
            assert np.bitwise_count(copies ^ hashes).max() <= 8, kind
        distances = np.bitwise_count(hashes[:, None] ^ hashes)[np.triu_indices(len(images), 1)]
        assert distances.min() > 8


def test_hash_of_other_kinds_of_images():
    image = random_image(3)
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    assert perceptual_hash(gray) == perceptual_hash(image) == perceptual_hash(image.astype(np.float32))
    assert perceptual_hash(cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)) == perceptual_hash(image)
    assert 0 <= perceptual_hash(image) < 2**64
    assert isinstance(perceptual_hash(np.zeros((1, 1, 3), np.uint8)), int)


class Stopped(Exception):
    """The error that interrupts a run."""


@pytest.mark.parametrize('after', [1, 7])
def test_an_interrupted_run_is_continued(images, tmp_path, after):
    whole = tmp_path / 'whole'
    whole.mkdir()
    mine(images, whole)
    model = teacher()
    score, batches = model.score, []

    def stop(inputs):
        if len(batches) == after:
            raise Stopped
        batches.append(len(inputs))
        return score(inputs)

    model.score = stop
    with pytest.raises(Stopped):
        mine(images, tmp_path, teacher=model)
    assert not (tmp_path / 'out.txt').exists()
    # A killed process may leave a part of a record.
    with (tmp_path / 'work' / 'pool.records').open('ab') as file:
        file.write(b'123')
    report = mine(images, tmp_path)
    assert report.pool['resumed'] == 16 * after and report.val['resumed'] == 12
    assert (tmp_path / 'out.txt').read_bytes() == (whole / 'out.txt').read_bytes()
    assert (tmp_path / 'work' / 'pool.records').read_bytes() == (whole / 'work' / 'pool.records').read_bytes()


def test_another_choice_needs_no_scores(images, tmp_path, monkeypatch):
    mine(images, tmp_path)
    model = teacher()
    monkeypatch.setattr(model, 'score', None)
    report = mine(images, tmp_path, teacher=model, top_k=1000, max_distance=0)
    assert report.pool['resumed'] == 315
    # Only copies with the same hash: those named 'same', and some compressed or brightened ones.
    assert 2 <= report.duplicates['count'] < 12
    assert report.kept == 312 - report.duplicates['count']
    assert mine(images, tmp_path, teacher=model).kept == 60


def test_another_pool_teacher_or_val_is_refused(images, tmp_path):
    mine(images, tmp_path)
    other = teacher()
    weaker = Teacher(dict(type='ChannelTeacher', classes=2), PIPELINE, None, device='cpu')
    for arguments, words in (
        (dict(pool=Source([images / 'pool' / 'copies'])), 'pool changed since'),
        (dict(val=Source([images / 'val' / '..' / 'pool' / 'copies'])), 'val changed since'),
        (dict(teacher=weaker), 'config, checkpoint changed since'),
    ):
        with pytest.raises(UserError, match=words) as refused:
            mine(images, tmp_path, **arguments)
        assert 'delete it to start again' in str(refused.value) and str(tmp_path / 'work') in str(refused.value)
    assert mine(images, tmp_path, teacher=other).pool['resumed'] == 315


def test_two_runs_do_not_share_a_folder(images, tmp_path):
    with run._locked(tmp_path / 'work'), pytest.raises(UserError, match='in use by another run'):
        mine(images, tmp_path)


def test_lists_of_the_pool_and_of_val(images, tmp_path):
    lines = [f'{path.relative_to(images)} {number}' for number, path in enumerate((images / 'pool').rglob('*.png'))]
    (tmp_path / 'pool.txt').write_text('\n'.join(sorted(lines)))
    (tmp_path / 'val.txt').write_text(''.join(f'{number:02d}.png {number % 3}\n' for number in range(12)))
    report = mine(
        images,
        tmp_path,
        pool=Source([tmp_path / 'pool.txt'], images, with_label=True),
        val=Source([tmp_path / 'val.txt'], images / 'val', with_label=True),
    )
    expected = expected_list(images, 20)
    assert (tmp_path / 'out.txt').read_text().splitlines() == [path for label in range(3) for path in expected[label]]
    assert report.duplicates['count'] == 12 and report.pool['unreadable'] == 1
    (tmp_path / 'val.txt').write_text('00.png 2\n01.png 3\n')
    with pytest.raises(UserError, match=r'val.txt, line 2: class index 3, but the teacher has 3 classes'):
        mine(images, tmp_path, val=Source([tmp_path / 'val.txt'], images / 'val', with_label=True))


def test_missing_files_of_a_list(images, tmp_path):
    (tmp_path / 'list.txt').write_text(f'{images}/val/00.png\nnone.png\n{images}/val/01.png\n')
    report = mine(
        images,
        tmp_path,
        pool=Source([tmp_path / 'list.txt']),
        max_unreadable=0.5,
        max_distance=0,
        val=Source([images / 'pool' / 'folder 0']),
    )
    assert report.pool['unreadable_files'] == [dict(file=f'{tmp_path}/none.png', reason='missing')]
    assert report.kept == 2


def test_an_image_that_the_pipeline_cannot_process(images, tmp_path):
    write(tmp_path / 'pool' / 'good.png', random_image(5))
    write(tmp_path / 'pool' / 'thin.png', np.zeros((1, 400, 3), np.uint8))
    pipeline = [PIPELINE[0], dict(type='ResizeEdge', scale=200, edge='long'), PIPELINE[1], PIPELINE[2]]
    init_default_scope('mmpretrain')
    model = Teacher(dict(type='ChannelTeacher'), pipeline, None, device='cpu')
    report = mine(images, tmp_path, pool=Source([tmp_path / 'pool']), teacher=model, max_unreadable=0.5)
    assert report.pool['unreadable_files'] == [
        dict(file=f'{tmp_path}/pool/thin.png', reason="the teacher's pipeline fails on it")
    ]


def test_too_many_unreadable_stop_it(images, tmp_path):
    with pytest.raises(UserError) as stopped:
        mine(images, tmp_path, max_unreadable=0.005)
    message = str(stopped.value)
    for word in ('pool: 3 of 315 images', '0.95%', 'max_unreadable 0.005', 'empty.jpg (not an image, or truncated)'):
        assert word in message, message
    assert '\n' not in message
    # With a larger limit, the run continues with the existing scores.
    assert mine(images, tmp_path).pool['resumed'] == 16


MISTAKES = {
    'top_k must be at least 1, got 0': dict(top_k=0),
    'max_distance must be from 0 to 32, got 33': dict(max_distance=33),
    'max_unreadable must be from 0 to 1, got 2': dict(max_unreadable=2),
    'batch_size must be at least 1, got 0': dict(batch_size=0),
    'workers must be at least 0, got -1': dict(workers=-1),
    'the teacher has 3 classes, expected 1000': dict(num_classes=1000),
    'folder .* has no image': dict(pool=Source(['empty'])),
    'list of images nowhere does not exist': dict(pool=Source(['nowhere'])),
    'list of images .*none.txt is empty': dict(pool=Source(['none.txt'])),
    'is an image; name its folder': dict(pool=Source(['x.jpg'])),
    'is named twice or lies in': dict(pool=Source(['some', 'some/inside'])),
    'no image of the pool is left: of 1 images, 1 are near-duplicates': dict(
        pool=Source(['some']), val=Source(['some'])
    ),
}


@pytest.mark.parametrize('message', MISTAKES)
def test_mistakes_are_named(images, tmp_path, monkeypatch, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'some' / 'inside' / 'x.png', random_image(0, 0))
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'none.txt').write_text('\n')
    with pytest.raises(UserError, match=message):
        mine(images, tmp_path, **MISTAKES[message])
    assert not (tmp_path / 'out.txt').exists()


def test_teachers_that_do_not_work(images, tmp_path):
    init_default_scope('mmpretrain')
    with pytest.raises(UserError, match=r'the teacher cannot be built: .*Nothing'):
        Teacher(dict(type='Nothing'), PIPELINE, None)
    with pytest.raises(UserError, match=r'cannot score an image: .*does not end with PackInputs'):
        Teacher(dict(type='ChannelTeacher'), PIPELINE[:2], None)
    broken = teacher()
    broken.model.scale.data[0] = float('nan')
    with pytest.raises(UserError, match=r'score of .*copies/00 same.png is not finite'):
        mine(images, tmp_path, teacher=broken)
    with pytest.raises(UserError, match="timm has no model 'resnet_nothing'"):
        teacher_of_timm('resnet_nothing', None)


def test_a_teacher_of_timm(tmp_path):
    import timm

    torch.manual_seed(0)
    net = timm.create_model('lcnet_035', num_classes=7).eval()
    torch.save(net.state_dict(), tmp_path / 'timm.pth')
    model = teacher_of_timm('lcnet_035', tmp_path / 'timm.pth', 7)
    assert model.num_classes == 7
    image = torch.from_numpy(random_image(0, 0)).permute(2, 0, 1)[None]
    mean, std = (torch.tensor(net.default_cfg[name]).view(3, 1, 1) for name in ('mean', 'std'))
    with torch.no_grad():
        expected = net((image.flip(1) / 255 - mean) / std).softmax(1)
    assert torch.allclose(model.predict(image), expected, atol=1e-5)
    with pytest.raises(UserError, match=r'timm.pth was made for another model'):
        teacher_of_timm('lcnet_035', tmp_path / 'timm.pth')


def test_selection_equals_sorting_everything(tmp_path, monkeypatch):
    """In blocks and with ties, compared with the definition."""
    monkeypatch.setattr(pool, '_BLOCK', 64)
    rng = np.random.default_rng(0)
    records = np.zeros(1000, pool.RECORD)
    records['label'] = rng.integers(-3, 5, 1000)
    records['score'] = rng.integers(0, 12, 1000) / 12
    records['hash'] = rng.integers(0, 2**63, 1000, np.uint64) * np.uint64(2)
    val = np.zeros(40, pool.RECORD)
    val['hash'] = records['hash'][:400:10] ^ np.uint64(0b10111)
    val['label'][::4] = pool.MISSING
    records.tofile(tmp_path / 'pool')
    val.tofile(tmp_path / 'val')
    found = select(tmp_path / 'pool', tmp_path / 'val', 5, 30, 4)
    copies = {10 * number for number in range(40) if number % 4 and records['label'][10 * number] >= 0}
    assert {idx for idx, *_ in found.duplicates} == copies and found.num_duplicates == len(copies)
    assert all(10 * match == idx and distance == 4 for idx, match, distance in found.duplicates)
    for label in range(5):
        members = [idx for idx in range(1000) if records['label'][idx] == label and idx not in copies]
        assert found.candidates[label] == len(members)
        best = sorted(members, key=lambda idx: (-records['score'][idx], idx))[:30]
        assert found.kept[found.kept['label'] == label]['idx'].tolist() == best


def test_nearest_hashes_and_ranks():
    known = np.array([0, 0b1111, 2**64 - 1], np.uint64)
    distances, nearest = _nearest_hashes(np.array([0b111, 2**63, 0], np.uint64), known)
    assert distances.tolist() == [1, 1, 0] and nearest.tolist() == [1, 0, 0]
    assert _nearest_hashes(known, known[:0])[0].tolist() == [255] * 3
    candidates = np.array([(1, 0.5, 0), (0, 0.1, 1), (1, 0.5, 2), (1, 0.9, 3)], _CANDIDATE)
    assert _best_of_each_class(candidates, 2)['idx'].tolist() == [1, 3, 0]


def test_paths_on_disk(tmp_path):
    paths = ['/a', '/b c/ä.png', '/' + 'x' * 300, *(f'/{number}' for number in range(70_000))]
    digest = pool.write_paths(tmp_path / 'pool', map(os.fsencode, paths))
    assert not list(tmp_path.glob('pool*'))
    stored = pool.keep_paths(tmp_path / 'pool')
    assert len(stored) == len(paths)
    for idx in (0, 1, 2, 3, 65_535, 65_536, len(paths) - 1):
        assert stored[idx] == paths[idx]
    assert digest != pool.write_paths(tmp_path / 'pool', map(os.fsencode, paths[1:]))
    reads = []
    threads = [
        threading.Thread(
            target=lambda start=start: reads.extend(stored[idx] == paths[idx] for idx in range(start, len(paths), 997))
        )
        for start in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) > 250 and all(reads)
