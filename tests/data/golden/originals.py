"""The original networks of the golden cases, and what the cases hold of their outputs."""

import numpy as np
import paddle
from golden_weights import input_images
from paddle import nn

Arrays = dict[str, np.ndarray]


def build_classifier(description: dict) -> nn.Layer:
    """Return PaddleClas's PP-LCNet."""
    from paddleclas.ppcls.arch.backbone.legendary_models.pp_lcnet import PPLCNet

    return PPLCNet(scale=description['scale'])


def predict_classes(network: nn.Layer, images: paddle.Tensor) -> Arrays:
    """Return the logits ``(N, classes)``."""
    with paddle.no_grad():
        return {'logits': network(images).numpy()}


def build_second_classifier(description: dict) -> nn.Layer:
    """Return PaddleClas's PP-LCNetV2, with branches that are not folded."""
    from paddleclas.ppcls.arch.backbone.legendary_models import pp_lcnet_v2

    return getattr(pp_lcnet_v2, f'PPLCNetV2_{description["size_name"]}')()


def predict_second_classes(network: nn.Layer, images: paddle.Tensor, description: dict) -> Arrays:
    """Return the logits and the channel means of the four stages, of the images and of a rectangle."""
    rectangle = input_images(description['seed'], description['rect_input_size']).astype(images.numpy().dtype)
    outputs: Arrays = {}
    with paddle.no_grad():
        for prefix, inputs in (('', images), ('rect_', paddle.to_tensor(rectangle))):
            feature = network.stem(inputs)
            for stride, stage in zip((4, 8, 16, 32), network.stages, strict=True):
                feature = stage(feature)
                outputs[f'{prefix}s{stride}_mean'] = feature.mean(axis=[2, 3]).numpy()
            outputs[f'{prefix}logits'] = network(inputs).numpy()
    return outputs


def build_segmentor(description: dict) -> nn.Layer:
    """Return PaddleSeg's MobileSeg on its own MobileNetV3-large or on PaddleDetection's PP-LCNet."""
    from paddleseg.models import MobileSeg
    from paddleseg.models.backbones import MobileNetV3_large_x1_0
    from ppdet.modeling import LCNet

    class Backbone(LCNet):
        feat_channels = description['feat_channels']

        def forward(self, images):
            return super().forward({'image': images})

    if description['backbone'] == 'LCNet':
        backbone = Backbone(scale=description['scale'], feature_maps=[2, 3, 4, 5])
    else:
        backbone = MobileNetV3_large_x1_0()
    return MobileSeg(
        num_classes=description['num_classes'],
        backbone=backbone,
        arm_type=description.get('arm_type', 'UAFMMobile'),
        backbone_indices=[1, 2, 3],
        cm_bin_sizes=[1, 2, 4],
        cm_out_ch=128,
        arm_out_chs=[32, 64, 128],
        seg_head_inter_chs=[32, 32, 32],
    )


def predict_segments(network: nn.Layer, images: paddle.Tensor) -> Arrays:
    """Return channel means of the backbone, the logits of the three heads, and some of these at the images' size."""
    outputs: Arrays = {}
    with paddle.no_grad():
        features = network.backbone(images)
        for stride, feature in zip((4, 8, 16, 32), features, strict=True):
            outputs[f's{stride}_mean'] = feature.mean(axis=[2, 3]).numpy()
        for stride, feature, head in zip((8, 16, 32), network.ppseg_head(features[1:]), network.seg_heads, strict=True):
            logits = head(feature)
            outputs[f'head{stride}'] = logits.numpy()
            enlarged = nn.functional.interpolate(logits, images.shape[2:], mode='bilinear', align_corners=False)
            outputs[f'logits{stride}'] = enlarged.numpy()[:, :, 3::16, 5::16]
    return outputs


class Detector(nn.Layer):
    """Backbone, neck and head of PaddleDetection under the names that its PicoDet gives them, without the NMS."""

    def __init__(self, backbone: nn.Layer, neck: nn.Layer, head: nn.Layer) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head

    def forward(self, images: paddle.Tensor) -> tuple:
        """Return the features of the backbone, those of the neck, and the outputs of the head."""
        features = self.backbone({'image': images})
        levels = self.neck(features)
        return features, levels, self.head(levels)


def build_detector(description: dict) -> nn.Layer:
    """Return PicoDet on PP-LCNet as PaddleDetection's configs build it: generation 1 (2.3) or 2 (2.4)."""
    from ppdet.modeling import CSPPAN, LCPAN, LCNet

    backbone = LCNet(scale=description['scale'], feature_maps=[3, 4, 5])
    neck = (LCPAN if description['generation'] == 2 else CSPPAN)(
        in_channels=[shape.channels for shape in backbone.out_shape],
        out_channels=description['neck_channels'],
        num_features=4,
        spatial_scales=[1 / 8, 1 / 16, 1 / 32],  # the default is one list that every neck of a process appends to
    )
    return Detector(backbone, neck, build_head(description))


def build_head(description: dict) -> nn.Layer:
    """Return the head with the losses and the assigners of its generation."""
    from ppdet.modeling import (
        ATSSAssigner,
        DistributionFocalLoss,
        GIoULoss,
        PicoFeat,
        PicoHead,
        PicoHeadV2,
        TaskAlignedAssigner,
    )
    from ppdet.modeling.losses.varifocal_loss import VarifocalLoss

    aligned = description['generation'] == 2
    channels = description['neck_channels']
    towers = PicoFeat(
        feat_in=channels,
        feat_out=channels,
        num_fpn_stride=4,
        num_convs=description['num_convs'],
        share_cls_reg=True,
        use_se=aligned,
    )
    arguments = dict(
        conv_feat=towers,
        num_classes=description['num_classes'],
        fpn_stride=[8, 16, 32, 64],
        reg_max=7,
        feat_in_chan=channels,
        cell_offset=0.5,
        loss_class=VarifocalLoss(use_sigmoid=not aligned),
        loss_dfl=DistributionFocalLoss(loss_weight=0.5 if aligned else 0.25),
        loss_bbox=GIoULoss(loss_weight=2.5 if aligned else 2.0),
    )
    if not aligned:
        return PicoHead(assigner=recording_simota(), **arguments)
    return PicoHeadV2(
        static_assigner_epoch=100,
        static_assigner=ATSSAssigner(topk=9),
        assigner=TaskAlignedAssigner(topk=13),
        **arguments,
    )


def recording_simota() -> object:
    """Return the original SimOTA, which here also keeps which box each point got, one array per image."""
    from ppdet.modeling import SimOTAAssigner

    class RecordingSimOTA(SimOTAAssigner):
        assigned: tuple[np.ndarray, ...] = ()

        def get_sample(self, assign_gt_inds, gt_bboxes):
            self.assigned = (*self.assigned, assign_gt_inds.copy())
            return super().get_sample(assign_gt_inds, gt_bboxes)

    return RecordingSimOTA(iou_weight=6)


def predict_boxes(network: nn.Layer, images: paddle.Tensor) -> Arrays:
    """Return channel means of backbone and neck, and scores and boxes of the head."""
    with paddle.no_grad():
        features, levels, (scores, boxes) = network(images)
    names = ('c3', 'c4', 'c5', 'p3', 'p4', 'p5', 'p6')
    maps = zip(names, (*features, *levels), strict=True)
    outputs = {f'{name}_mean': feature.mean(axis=[2, 3]).numpy() for name, feature in maps}
    return {**outputs, 'scores': scores.numpy()[:, :, ::7], 'boxes': boxes.numpy()}


def losses_generation_1(network: nn.Layer, images: paddle.Tensor, description: dict) -> Arrays:
    """Return losses, gradients and assigned boxes for four ground truths."""
    standard = real_boxes(description['gt'])
    empty = (paddle.zeros([0, 4]), paddle.zeros([0, 1], 'int64'))
    ground_truths = {
        '': standard,
        'overlap_': real_boxes(description['gt_overlap']),
        'image0_only_': [standard[0], empty],
        'no_boxes_': [empty, empty],
    }
    outputs: Arrays = {}
    for prefix, ground_truth in ground_truths.items():
        losses = losses_of_ground_truth(network, images, ground_truth)
        outputs |= {prefix + key: value for key, value in losses.items()}
    return outputs


def losses_of_ground_truth(network: nn.Layer, images: paddle.Tensor, ground_truth: list) -> Arrays:
    """Return the losses, the gradients of the predictors' biases, and the box of each point if every image has some."""
    network.head.assigner.assigned = ()
    network.clear_gradients()
    losses = network.head.get_loss(
        network(images)[2],
        {
            'im_id': paddle.arange(len(ground_truth)),
            'gt_bbox': [boxes for boxes, _ in ground_truth],
            'gt_class': [labels for _, labels in ground_truth],
        },
    )
    (losses['loss_vfl'] + losses['loss_bbox'] + losses['loss_dfl']).backward()
    outputs = {key: value.numpy().reshape(1) for key, value in losses.items()}
    for level in range(4):
        predictor = getattr(network.head, f'head_cls{level}')
        outputs[f'grad_head_cls{level}_bias'] = predictor.bias.grad.numpy()
    if all(len(boxes) for boxes, _ in ground_truth):
        outputs['assigned_gt'] = np.stack(network.head.assigner.assigned).astype('float32')
    return outputs


def losses_generation_2(network: nn.Layer, images: paddle.Tensor, description: dict) -> Arrays:
    """Return the losses with the assigner of the first epochs and with that of the later ones."""
    boxes, labels, mask = (description['gt'][key] for key in ('boxes', 'labels', 'mask'))
    head_outputs = network(images)[2]
    outputs: Arrays = {}
    for prefix, epoch in (('atss_', 0), ('tal_', 100)):
        losses = network.head.get_loss(
            head_outputs,
            {
                'im_id': paddle.arange(len(boxes)),
                'gt_bbox': paddle.to_tensor(boxes, 'float32'),
                'gt_class': paddle.to_tensor(labels, 'int64'),
                'pad_gt_mask': paddle.to_tensor(mask, 'float32'),
                'epoch_id': epoch,
            },
        )
        outputs |= {prefix + key: value.numpy().reshape(1) for key, value in losses.items()}
    return outputs


def real_boxes(ground_truth: dict) -> list[tuple[paddle.Tensor, paddle.Tensor]]:
    """Return the boxes ``(n, 4)`` and labels ``(n, 1)`` of each image, without the padding."""
    images = []
    for boxes, labels, mask in zip(*(ground_truth[key] for key in ('boxes', 'labels', 'mask')), strict=True):
        real = np.array(mask)[:, 0] > 0
        boxes, labels = np.array(boxes, 'float32')[real], np.array(labels, 'int64')[real]
        images.append((paddle.to_tensor(boxes), paddle.to_tensor(labels)))
    return images
