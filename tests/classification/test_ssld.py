"""The distiller: values of the losses, which network learns, and the content of checkpoints."""

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner.checkpoint import get_state_dict, load_state_dict
from mmpretrain.structures import DataSample
from torch import nn
from torch.nn import functional

from lcnet_mm.classification import SSLDDistiller, SymmetricKLLoss
from lcnet_mm.utils.errors import UserError


def classifier(width=0.25, num_classes=10, **head):
    channels = {0.25: 128, 0.5: 256}[width]
    return dict(
        type='ImageClassifier',
        backbone=dict(type='mmengine.PPLCNet', widen_factor=width, out_indices=(4,)),
        head=dict(type='LastConvClsHead', num_classes=num_classes, in_channels=channels, **head),
    )


@pytest.fixture
def checkpoint(tmp_path):
    init_default_scope('mmpretrain')
    torch.manual_seed(1)
    model = MODELS.build(classifier(0.5))
    model.init_weights()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'teacher.pth')
    return tmp_path / 'teacher.pth'


def build(checkpoint=None, **options):
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = SSLDDistiller(classifier(), options.pop('teacher', classifier(0.5)), checkpoint, **options)
    model.init_weights()
    return model


def samples(*labels):
    return [DataSample().set_gt_label(label) for label in labels]


IMAGES = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
LABELS = samples(3, -1, 9, 0)


def symmetric_kl(student, teacher, epsilon=1e-12):
    """Compute PaddleClas's DMLLoss in NumPy in double precision."""

    def softmax(logits):
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        return shifted / shifted.sum(1, keepdims=True)

    s, t = softmax(student.astype(np.float64)), softmax(teacher.astype(np.float64))
    total = 0.0
    for s_row, t_row in zip(s, t, strict=True):
        for s_c, t_c in zip(s_row, t_row, strict=True):
            total += 0.5 * t_c * np.log((t_c + epsilon) / (s_c + epsilon))
            total += 0.5 * s_c * np.log((s_c + epsilon) / (t_c + epsilon))
    return total / len(s)


@pytest.mark.parametrize('scale', [0.1, 1.0, 5.0])
def test_loss_equals_the_original(scale):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (scale * torch.randn(7, 23, generator=generator) for _ in range(2))
    expected = symmetric_kl(student.numpy(), teacher.numpy())
    assert SymmetricKLLoss()(student, teacher).item() == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert SymmetricKLLoss(loss_weight=3.0)(student, teacher).item() == pytest.approx(3 * expected, rel=1e-6, abs=1e-6)
    # Symmetric, and 0 for equal logits.
    torch.testing.assert_close(SymmetricKLLoss()(student, teacher), SymmetricKLLoss()(teacher, student))
    assert SymmetricKLLoss()(student, student).item() == 0


def test_loss_is_finite_for_certain_teachers():
    logits = torch.tensor([[100.0, 0.0], [-100.0, 0.0]], requires_grad=True)
    loss = SymmetricKLLoss()(logits, torch.tensor([[-100.0, 0.0], [100.0, 0.0]]))
    loss.backward()
    # ln 1e12, from the epsilon.
    assert loss.item() == pytest.approx(np.log(1e12), rel=1e-5) and torch.isfinite(logits.grad).all()


def test_distiller_computes_the_loss_of_its_two_models(checkpoint):
    model = build(checkpoint, teacher_norms='eval').train()
    losses = model(IMAGES, LABELS, mode='loss')
    assert list(losses) == ['loss_distill']
    student, teacher = model.student(IMAGES), model.teacher(IMAGES)
    # The student's dropout differs from call to call, so its loss is compared without.
    model.student.eval()
    loss = model(IMAGES, LABELS, mode='loss')['loss_distill']
    student = model.student(IMAGES)
    assert loss.item() == pytest.approx(symmetric_kl(student.detach().numpy(), teacher.numpy()), abs=1e-6)
    assert torch.equal(model(IMAGES), student) and losses['loss_distill'] > 0


@pytest.mark.parametrize('norms', ['train', 'eval'])
def test_gradients_reach_the_student_only_and_the_teacher_stays(checkpoint, norms):
    model = build(checkpoint, teacher_norms=norms).train()
    before = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    first = {name: value.clone() for name, value in model.student.state_dict().items()}
    for _ in range(2):
        optimizer.zero_grad()
        model(IMAGES, LABELS, mode='loss')['loss_distill'].backward()
        optimizer.step()
    assert all(p.grad is None for p in model.teacher.parameters())
    assert all(p.grad is not None for p in model.student.parameters())
    for name, value in model.teacher.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(not torch.equal(p, first[name]) for name, p in model.student.named_parameters())


def test_teachers_norms_use_the_batch_or_their_own_statistics(checkpoint):
    model = build(checkpoint).train()
    twin = MODELS.build(classifier(0.5))
    twin.load_state_dict(model.teacher.state_dict())
    for module in twin.eval().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train()
    with torch.no_grad():
        by_batch = twin(IMAGES)
        torch.testing.assert_close(model.run_teacher(IMAGES), by_batch)
        own = build(checkpoint, teacher_norms='eval').train().run_teacher(IMAGES)
        # by_batch moved the twin's statistics.
        twin.load_state_dict(model.teacher.state_dict())
        torch.testing.assert_close(own, twin.eval()(IMAGES))
    assert not torch.allclose(own, by_batch, atol=1e-2)


def test_teacher_under_autocast_and_with_its_own_normalization(checkpoint):
    plain = build(checkpoint, teacher_norms='eval').eval()
    half = build(checkpoint, teacher_norms='eval', teacher_amp=True).eval()
    assert half.run_teacher(IMAGES).dtype == torch.bfloat16
    torch.testing.assert_close(half.run_teacher(IMAGES).float(), plain.run_teacher(IMAGES), rtol=0.05, atol=0.05)
    ours = dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0])
    mean, std = [127.5] * 3, [127.5] * 3
    other = build(
        checkpoint, teacher_norms='eval', teacher_mean=mean, teacher_std=std, data_preprocessor=ours
    ).eval()  # fmt: skip
    raw = 255 * torch.rand(4, 3, 64, 64)

    def normalize(mean, std):
        return (raw - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)

    expected = plain.run_teacher(normalize(mean, std))
    torch.testing.assert_close(other.run_teacher(normalize(**ours)), expected, rtol=1e-4, atol=1e-4)


def test_labels_count_where_there_are_any(checkpoint):
    model = build(checkpoint, label_loss_weight=0.5).eval()
    losses = model(IMAGES, LABELS, mode='loss')
    logits = model.student(IMAGES)
    expected = functional.cross_entropy(logits[[0, 2, 3]], torch.tensor([3, 9, 0]))
    torch.testing.assert_close(losses['loss_label'], 0.5 * expected)
    nothing = model(IMAGES, samples(-1, -1, -1, -1), mode='loss')['loss_label']
    nothing.backward()
    assert nothing.item() == 0


def test_mutual_learning_teaches_both():
    path = 'backbone.blocks5'
    model = build(
        teacher=classifier(), mutual=True, label_loss_weight=1.0,
        feature_loss=dict(student=path, teacher=path, weight=2.0),
    ).train()  # fmt: skip
    losses = model(IMAGES, LABELS, mode='loss')
    assert list(losses) == ['loss_distill', 'loss_label', 'loss_label_teacher', 'loss_feature']
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    model.eval()
    losses = model(IMAGES, LABELS, mode='loss')
    features = []
    for part in (model.student, model.teacher):
        x = IMAGES
        for stage in ('conv1', 'blocks2', 'blocks3', 'blocks4', 'blocks5'):
            x = getattr(part.backbone, stage)(x)
        features.append(x)
    torch.testing.assert_close(losses['loss_feature'], 2 * (features[0] - features[1]).square().mean())
    assert {key.split('.')[0] for key in model.state_dict()} == {'student', 'teacher'}


def test_checkpoints_hold_the_student_alone_or_both(checkpoint):
    model = build(checkpoint)
    plain = MODELS.build(classifier())
    # With mmengine's functions, which save and resume, and with torch's.
    for state in (get_state_dict(model), model.state_dict()):
        assert state.keys() == plain.state_dict().keys()
        plain.load_state_dict(state)
        assert torch.equal(plain.eval()(IMAGES), model.eval()(IMAGES))
    other = build(checkpoint)
    for load in (lambda state: load_state_dict(other, state, strict=True), lambda state: other.load_state_dict(state)):
        for parameter in other.student.parameters():
            parameter.data.zero_()
        load(get_state_dict(model))
        assert torch.equal(other.eval()(IMAGES), model.eval()(IMAGES))
    both = build(checkpoint, save_teacher=True).state_dict()
    assert {key.split('.')[0] for key in both} == {'student', 'teacher'}


def test_teachers_of_timm(tmp_path):
    import timm

    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    raw = timm.create_model('lcnet_050', num_classes=10).eval()
    torch.save(raw.state_dict(), tmp_path / 'timm.pth')
    teacher = dict(type='TimmClassifier', model_name='lcnet_050', num_classes=10)
    model = build(tmp_path / 'timm.pth', teacher=teacher, teacher_norms='eval').eval()
    with torch.no_grad():
        torch.testing.assert_close(model.run_teacher(IMAGES), raw(IMAGES))


def test_mistakes(checkpoint, tmp_path):
    with pytest.raises(ValueError, match=r'teacher has 7 classes, the student 10'):
        build(checkpoint, teacher=classifier(0.5, 7))
    with pytest.raises(ValueError, match=r"teacher_norms must be one of .*, got 'frozen'"):
        build(checkpoint, teacher_norms='frozen')
    with pytest.raises(ValueError, match='needs its weights'):
        build()
    with pytest.raises(ValueError, match='both or neither'):
        build(checkpoint, teacher_mean=[0.0] * 3)
    with pytest.raises(UserError, match=r'the teacher: checkpoint .*none.pth does not exist'):
        build(tmp_path / 'none.pth')
    with pytest.raises(UserError, match=r'the teacher: .*made for another model'):
        build(checkpoint, teacher=classifier())
    with pytest.raises(ValueError, match=r"feature_loss.teacher names 'neck'"):
        build(checkpoint, feature_loss=dict(student='backbone.blocks5', teacher='neck'))
    model = build(checkpoint, feature_loss=dict(student='backbone.blocks5', teacher='backbone.blocks5'))
    with pytest.raises(UserError, match=r'blocks5 of shape \(4, 64, 4, 4\).*\(4, 128, 4, 4\)'):
        model(IMAGES, LABELS, mode='loss')
