import numpy as np
import pytest
import torch
from mmengine.registry import MODELS

from lcnet_mm.apis import load_config
from lcnet_mm.latency.network import (
    CONTROL,
    Latency,
    Network,
    control_difference,
    convert_network,
    measure_networks,
)


def test_converted_network_computes_the_same(tmp_path):
    cfg = load_config('configs/picodet_like/picodet_xs_320_coco.py')
    torch.manual_seed(0)
    network, size = convert_network(cfg, tmp_path)
    torch.manual_seed(0)
    model = Network(MODELS.build(cfg.model)).eval()
    image = torch.randn(1, 3, *size)
    with torch.no_grad():
        scores, boxes = model(image)
    import openvino

    outputs = openvino.Core().compile_model(network, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})([image.numpy()])
    np.testing.assert_allclose(outputs[0], scores.numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(outputs[1] / 320, boxes.numpy() / 320, rtol=1e-3, atol=1e-5)

    results = measure_networks({'xs': network}, threads=1, rounds=3, warmup=1)
    assert list(results) == ['xs', CONTROL] and all(len(one.seconds) == 3 for one in results.values())


def test_control():
    results = {'a': Latency([1.0, 1.0, 9.0]), CONTROL: Latency([1.1, 1.1, 1.1])}
    assert control_difference(results) == pytest.approx(0.1)
    assert results['a'].to_dict()['median'] == 1000 and results['a'].to_dict()['minimum'] == 1000
