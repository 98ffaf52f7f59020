"""SSLD: a student learns from the probabilities of a teacher, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from ..backbones.layers import Config
from ..utils.checkpoint import load_weights
from ..utils.errors import UserError

_TEACHER_NORMS = ('train', 'eval')
_STUDENT = 'student.'
_TEACHER = 'teacher.'


@MODELS.register_module()
class SSLDDistiller(BaseModel):
    """A student classifier and its teacher; prediction uses the student alone.

    With a frozen teacher and the default losses, this is SSLD: the student uses no labels, so that unlabeled images can
    be mixed in. With ``mutual=True`` both networks learn, which is deep mutual learning (DML), and U-DML with a
    ``feature_loss``. Sources: https://arxiv.org/abs/2103.05959; PaddleClas ``ppcls/loss/dmlloss.py`` and
    ``ppcls/configs/ImageNet/Distillation``.

    Checkpoints do not contain a frozen teacher. They contain the student under the names of its config, which can load
    them. With ``save_teacher=True`` they contain both, as ``student.…`` and ``teacher.…``.

    Args:
        student: Config of the student, an mmpretrain classifier.
        teacher: Config of the teacher, any mmpretrain classifier or a ``TimmClassifier``.
        teacher_checkpoint: Weights of the teacher, loaded when training starts; required for a frozen teacher.
        teacher_norms: 'train' normalizes with the statistics of the batch in the teacher, as the original does on
            purpose (76.00 instead of 75.84 % for MobileNetV3-large), 'eval' with the running statistics. The running
            statistics of a frozen teacher never change.
        teacher_mean: Mean of the teacher's normalization, in the units of the data preprocessor, if it is not that of
            the student.
        teacher_std: Standard deviation of the teacher's normalization; goes with ``teacher_mean``.
        teacher_amp: Whether a frozen teacher runs under autocast.
        mutual: Whether the teacher learns, too.
        distill_loss: Config of the loss between the two logits.
        label_loss_weight: Weight of the cross entropy with the labels, for both networks if ``mutual``; samples with
            the label -1 are ignored.
        feature_loss: ``dict(student=PATH, teacher=PATH, weight=1.0)``: mean squared error between the outputs of two
            submodules such as 'backbone.blocks5'.
        save_teacher: Whether checkpoints contain the teacher; by default they do if it learns.
        data_preprocessor: As for ``ImageClassifier``.
        init_cfg: mm config of the initialization.

    Shapes:
        images ``(N, 3, H, W)`` to the student's logits ``(N, classes)``, or to a dict of scalar losses.

    Raises:
        ValueError: an argument is invalid, a frozen teacher has no checkpoint, or the numbers of classes differ.
        UserError: the teacher's checkpoint cannot be read or belongs to another model.
    """

    def __init__(
        self,
        student: Config,
        teacher: Config,
        teacher_checkpoint: str | Path | None = None,
        teacher_norms: str = 'train',
        teacher_mean: Sequence[float] | None = None,
        teacher_std: Sequence[float] | None = None,
        teacher_amp: bool = False,
        mutual: bool = False,
        distill_loss: Config = dict(type='SymmetricKLLoss'),
        label_loss_weight: float = 0.0,
        feature_loss: Config | None = None,
        save_teacher: bool | None = None,
        data_preprocessor: Config | None = None,
        init_cfg: Any = None,
    ) -> None:
        if teacher_norms not in _TEACHER_NORMS:
            raise ValueError(f'teacher_norms must be one of {_TEACHER_NORMS}, got {teacher_norms!r}')
        if teacher_checkpoint is None and not mutual:
            raise ValueError('a frozen teacher needs its weights: set model.teacher_checkpoint to a file')
        if (teacher_mean is None) != (teacher_std is None):
            raise ValueError('teacher_mean and teacher_std belong together: set both or neither')
        super().__init__({'type': 'mmpretrain.ClsDataPreprocessor', **(data_preprocessor or {})}, init_cfg)
        self.student = MODELS.build(student)
        self.teacher = MODELS.build(teacher)
        _check_classes(self.student, self.teacher)
        self.teacher_checkpoint = teacher_checkpoint
        self.teacher_norms = teacher_norms
        self.teacher_amp = teacher_amp
        self.mutual = mutual
        self.distill_loss = MODELS.build(distill_loss)
        self.label_loss_weight = label_loss_weight
        self.feature_loss = feature_loss
        self.features: dict[str, Tensor] = {}
        if feature_loss is not None:
            self.watch_features(feature_loss)
        self.renormalization: tuple[Tensor, Tensor] | None = None
        if teacher_mean is not None and teacher_std is not None:
            self.renormalization = self.change_of_normalization(teacher_mean, teacher_std)
        if not mutual:
            _freeze(self.teacher)
        if not (mutual if save_teacher is None else save_teacher):
            self._register_state_dict_hook(_keep_student)  # type: ignore[no-untyped-call]
            self._register_load_state_dict_pre_hook(_add_student_prefix)  # type: ignore[no-untyped-call]
            self.register_load_state_dict_post_hook(_expect_no_teacher)  # type: ignore[no-untyped-call]

    def init_weights(self) -> None:
        """Initialize the student and load the teacher."""
        super().init_weights()  # type: ignore[no-untyped-call]
        if self.teacher_checkpoint is not None:
            try:
                load_weights(self.teacher, self.teacher_checkpoint)
            except UserError as error:
                raise UserError(f'the teacher: {error}') from error

    def train(self, mode: bool = True) -> SSLDDistiller:
        """Set the mode; of a frozen teacher, at most the norms leave evaluation mode, see ``teacher_norms``."""
        super().train(mode)
        if not self.mutual:
            self.teacher.eval()
            if mode and self.teacher_norms == 'train':
                for module in self.teacher.modules():
                    if isinstance(module, _BatchNorm):
                        module.train()
        return self

    def forward(  # type: ignore[override]  # mode "tensor" returns logits, which BaseModel does not say
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, mode: str = 'tensor'
    ) -> Tensor | dict[str, Tensor] | list[DataSample]:
        """Run the student (modes 'tensor' and 'predict') or compute the losses (mode 'loss')."""
        if mode != 'loss':
            result: Tensor | dict[str, Tensor] | list[DataSample] = self.student(inputs, data_samples, mode=mode)
            return result
        assert data_samples is not None
        student = self.student(inputs)
        teacher = self.run_teacher(inputs)
        losses = dict(loss_distill=self.distill_loss(student, teacher))
        if self.label_loss_weight:
            losses['loss_label'] = self.label_loss_weight * _label_loss(student, data_samples)
            if self.mutual:
                losses['loss_label_teacher'] = self.label_loss_weight * _label_loss(teacher, data_samples)
        if self.feature_loss is not None:
            ours, theirs = self.features[_STUDENT], self.features[_TEACHER]
            if ours.shape != theirs.shape:
                raise UserError(
                    f'feature_loss compares {self.feature_loss["student"]} of shape {tuple(ours.shape)} with '
                    f'{self.feature_loss["teacher"]} of shape {tuple(theirs.shape)}; name modules of equal shapes'
                )
            weight = self.feature_loss.get('weight', 1.0)
            losses['loss_feature'] = weight * functional.mse_loss(ours.float(), theirs.float())
        self.features.clear()
        return losses

    def run_teacher(self, inputs: Tensor) -> Tensor:
        """Return the teacher's logits ``(N, classes)``; without a gradient unless it learns, too."""
        if self.renormalization is not None:
            scale, shift = (tensor.to(inputs) for tensor in self.renormalization)
            inputs = inputs * scale + shift
        with ExitStack() as contexts:
            if not self.mutual:
                contexts.enter_context(torch.no_grad())
                if self.teacher_amp:
                    dtype = torch.float16 if inputs.is_cuda else torch.bfloat16
                    contexts.enter_context(torch.autocast(inputs.device.type, dtype))
            result: Tensor = self.teacher(inputs)
            return result

    def change_of_normalization(self, mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Return scale and shift ``(3, 1, 1)`` that convert the student's normalization to another one."""
        ours_mean, ours_std = self.data_preprocessor.mean, self.data_preprocessor.std
        theirs_mean, theirs_std = (torch.tensor(value).view(-1, 1, 1) for value in (mean, std))
        return ours_std / theirs_std, (ours_mean - theirs_mean) / theirs_std

    def watch_features(self, feature_loss: Config) -> None:
        """Record the outputs of the two modules that ``feature_loss`` names."""
        for prefix, model in ((_STUDENT, self.student), (_TEACHER, self.teacher)):
            path = feature_loss[prefix[:-1]]
            try:
                module = model.get_submodule(path)
            except AttributeError as error:
                raise ValueError(f'feature_loss.{prefix[:-1]} names {path!r}, which the model does not have') from error

            def keep(_module: nn.Module, _inputs: Any, output: Tensor, prefix: str = prefix) -> None:
                self.features[prefix] = output

            module.register_forward_hook(keep)


def _number_of_classes(model: nn.Module) -> int | None:
    """Return the number of classes of an mmpretrain or timm classifier, or None if it cannot be found."""
    for part in (getattr(model, 'head', None), getattr(model, 'model', None)):
        number = getattr(part, 'num_classes', None)
        if isinstance(number, int):
            return number
    return None


def _check_classes(student: nn.Module, teacher: nn.Module) -> None:
    """Raise a ValueError if both numbers of classes are known and differ."""
    ours, theirs = _number_of_classes(student), _number_of_classes(teacher)
    if None not in (ours, theirs) and ours != theirs:
        raise ValueError(
            f'the teacher has {theirs} classes, the student {ours}; distillation needs a teacher of the same classes'
        )


def _freeze(teacher: nn.Module) -> None:
    """Freeze parameters and running statistics, also of batch norms that use the statistics of the batch."""
    teacher.requires_grad_(False)
    for module in teacher.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False


def _label_loss(logits: Tensor, data_samples: Sequence[DataSample]) -> Tensor:
    """Compute the mean cross entropy of the samples that have a label, 0 if none has one."""
    labels = torch.cat([sample.get('gt_label') for sample in data_samples]).to(logits.device)
    labeled = labels >= 0
    total = functional.cross_entropy(logits[labeled].float(), labels[labeled], reduction='sum')
    return total / labeled.sum().clamp(min=1)


def _keep_student(_module: nn.Module, state: dict[str, Tensor], prefix: str, _metadata: Any) -> None:
    """Reduce a state dict to the student, without its prefix; a hook of ``state_dict``."""
    for key in [key for key in state if key.startswith(prefix)]:
        value = state.pop(key)
        name = key.removeprefix(prefix)
        if name.startswith(_STUDENT):
            state[prefix + name.removeprefix(_STUDENT)] = value


def _add_student_prefix(state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Undo :func:`_keep_student`; a hook of ``load_state_dict``."""
    for key in [key for key in state if key.startswith(prefix)]:
        state[f'{prefix}{_STUDENT}{key.removeprefix(prefix)}'] = state.pop(key)


def _expect_no_teacher(_module: nn.Module, keys: Any) -> None:
    """Do not report the teacher as missing; a hook of ``load_state_dict``."""
    keys.missing_keys[:] = [key for key in keys.missing_keys if not key.startswith(_TEACHER)]
