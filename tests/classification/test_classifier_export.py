"""Every family of classifiers as an OpenVINO model, and the runtime against PyTorch."""

import json
from collections import Counter

import cv2
import numpy as np
import onnx
import pytest
import torch
from deploy_cases import CLASSIFIERS, classifier_config, export

from lcnet_mm.runtime import Classifier
from lcnet_mm.utils.models import build_model
from lcnet_mm.utils.openvino import openvino_core


@pytest.mark.parametrize('family', CLASSIFIERS)
def test_export(family, tmp_path):
    cfg = classifier_config(family)
    result = export('classification_openvino_static-224x224', cfg, tmp_path, None)
    assert result.passed, [c for c in result.comparisons if not c.passed]
    assert {c.backend for c in result.comparisons} == {'onnxruntime', 'openvino'}
    model = openvino_core().read_model(result.work_dir / 'end2end.xml')
    assert list(model.inputs[0].shape) == [1, 3, 224, 224] and list(model.outputs[0].shape) == [1, 1000]
    ops = Counter(node.op_type for node in onnx.load(result.work_dir / 'end2end.onnx').graph.node)
    assert ops['Softmax'] == 1 and ops['BatchNormalization'] == 0
    if family == 'pplcnet':
        # The stem, two in each of the 13 blocks, and one in the head.
        assert ops['HardSwish'] == 28 and ops['HardSigmoid'] == 2
    elif family == 'pplcnet_v2':
        # The branches are folded: one depthwise convolution, one or two pointwise ones and two of an SE in each block.
        assert ops['Conv'] == 1 + 2 * (1 + 2 + 2 + 2) + 4 * 5 + 1
        # Sums are left in the shortcuts only.
        assert ops['Add'] == 1
    elif family == 'ablation':
        assert ops['HardSwish'] == 27

    description = json.loads((result.work_dir / 'model.json').read_text())
    assert len(description['classes']) == 1000 and description['classes'][281].startswith('tabby')
    # From the image file on, the runtime gives the result of PyTorch.
    image = cv2.imread(str(tmp_path / 'image.png'))
    network = build_model(cfg).eval()
    network.load_state_dict(torch.load(tmp_path / 'random.pth')['state_dict'])
    height, width = image.shape[:2]
    resized = cv2.resize(image, (int(256 * width / height), 256), interpolation=cv2.INTER_LINEAR)
    left = round((resized.shape[1] - 224) / 2)
    crop = resized[16:240, left : left + 224, ::-1]
    mean, std = (np.float32(values) for values in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
    with torch.no_grad():
        logits = network(torch.from_numpy((crop - mean) / std).permute(2, 0, 1)[None])
    np.testing.assert_allclose(Classifier(result.work_dir)(image), logits[0].softmax(0).numpy(), atol=1e-4)
