"""The converter compared with Paddle itself: a file of ``paddle.save``, and its logits."""

import numpy as np
import pytest
import torch

from lcnet_mm import PPLCNet
from lcnet_mm.backbones.layers import make_divisible
from lcnet_mm.weights import convert_weights

paddle = pytest.importorskip('paddle', reason='paddlepaddle is not installed')

# Kernel, channels in and out at width 1.0, stride, SE (docs/specification/pplcnet.md#architecture).
STAGES = {
    'blocks2': [(3, 16, 32, 1, False)],
    'blocks3': [(3, 32, 64, 2, False), (3, 64, 64, 1, False)],
    'blocks4': [(3, 64, 128, 2, False), (3, 128, 128, 1, False)],
    'blocks5': [(3, 128, 256, 2, False), *[(5, 256, 256, 1, False)] * 5],
    'blocks6': [(5, 256, 512, 2, True), (5, 512, 512, 1, True)],
}


def build_in_paddle(width: float):
    """Build PP-LCNet with its classifier from Paddle's layers, with PaddleClas's names."""
    nn = paddle.nn

    class ConvBN(nn.Layer):
        def __init__(self, c_in, c_out, kernel, stride=1, groups=1):
            super().__init__()
            self.conv = nn.Conv2D(c_in, c_out, kernel, stride, (kernel - 1) // 2, groups=groups, bias_attr=False)
            self.bn = nn.BatchNorm2D(c_out)

        def forward(self, x):
            return nn.functional.hardswish(self.bn(self.conv(x)))

    class SE(nn.Layer):
        def __init__(self, channels):
            super().__init__()
            self.conv1 = nn.Conv2D(channels, channels // 4, 1)
            self.conv2 = nn.Conv2D(channels // 4, channels, 1)

        def forward(self, x):
            gate = nn.functional.relu(self.conv1(x.mean([2, 3], keepdim=True)))
            return x * nn.functional.hardsigmoid(self.conv2(gate))

    class Block(nn.Layer):
        def __init__(self, kernel, c_in, c_out, stride, with_se):
            super().__init__()
            self.dw_conv = ConvBN(c_in, c_in, kernel, stride, groups=c_in)
            self.se = SE(c_in) if with_se else None
            self.pw_conv = ConvBN(c_in, c_out, 1)

        def forward(self, x):
            x = self.dw_conv(x)
            return self.pw_conv(self.se(x) if self.se is not None else x)

    class Net(nn.Layer):
        def __init__(self):
            super().__init__()

            def scaled(channels):
                return make_divisible(channels * width)

            self.conv1 = ConvBN(3, scaled(16), 3, 2)
            for name, blocks in STAGES.items():
                layers = [Block(k, scaled(i), scaled(o), stride, se) for k, i, o, stride, se in blocks]
                setattr(self, name, nn.Sequential(*layers))
            self.last_conv = nn.Conv2D(scaled(512), 1280, 1, bias_attr=False)
            self.fc = nn.Linear(1280, 1000)

        def forward(self, x):
            x = self.conv1(x)
            for name in STAGES:
                x = getattr(self, name)(x)
            hidden = nn.functional.hardswish(self.last_conv(x.mean([2, 3], keepdim=True)))
            # Dropout of the mode 'downscale_in_infer' multiplies by the kept share at inference.
            return self.fc(0.8 * hidden.flatten(1))

    return Net()


@pytest.mark.parametrize('width', [0.25, 0.5])
def test_saved_by_paddle(tmp_path, width):
    paddle.seed(0)
    net = build_in_paddle(width)
    rng = np.random.default_rng(0)
    for key, value in net.state_dict().items():
        if key.endswith('._mean'):
            value.set_value(rng.normal(0, 0.1, value.shape).astype('float32'))
        elif key.endswith('._variance'):
            value.set_value(rng.uniform(0.5, 1.5, value.shape).astype('float32'))
    net.eval()
    source = tmp_path / 'live.pdparams'
    paddle.save(net.state_dict(), str(source))
    image = rng.normal(size=(2, 3, 97, 131)).astype('float32')
    with paddle.no_grad():
        expected = net(paddle.to_tensor(image)).numpy()

    result = convert_weights(source, tmp_path / 'live.pth')
    assert result.widen_factor == width
    converted = torch.load(tmp_path / 'live.pth', weights_only=True)['state_dict']
    backbone = PPLCNet(width, out_indices=-1).eval()
    prefix = 'backbone.'
    state = {key.removeprefix(prefix): value for key, value in converted.items() if key.startswith(prefix)}
    assert not backbone.load_state_dict(state, strict=False).unexpected_keys
    with torch.no_grad():
        pooled = backbone(torch.from_numpy(image))[0].mean((2, 3), keepdim=True)
        hidden = torch.nn.functional.hardswish(torch.conv2d(pooled, converted['head.last_conv.weight'])).flatten(1)
        logits = hidden @ converted['head.fc.weight'].T + converted['head.fc.bias']
    error = np.abs(logits.numpy() - expected).max() / np.abs(expected).max()
    assert error < 1e-4
