"""Draw the diagrams of the documentation: ``python docs/diagrams/draw.py`` writes the SVG files beside this one.

They are narrow columns, so that a phone shows their text at a readable size, and follow the color scheme of the system.
"""

import re
import tomllib
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
WIDTH = 420
MARGIN = 16
STYLE = """
text { font: 13px system-ui, 'Segoe UI', Roboto, sans-serif; fill: #1c2333 }
.strong { font-weight: 600 }
.small { font-size: 11.5px }
.note { fill: #555f75 }
.middle { text-anchor: middle }
.panel { fill: #ffffff }
.box { fill: #eef1fb; stroke: #5468c4 }
.mark { fill: #c9d2f5; stroke: #5468c4 }
.plain { fill: none; stroke: #8a93a8; stroke-dasharray: 4 3 }
.arrow { stroke: #8a93a8; stroke-width: 1.5; fill: none }
.head { fill: #8a93a8 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9f2 }
  .note { fill: #a9b2c7 }
  .panel { fill: #1e2129 }
  .box { fill: #2a3150; stroke: #8795e6 }
  .mark { fill: #43508c; stroke: #8795e6 }
}
"""

# Stage, modules of PPLCNet, channels at width 1.0, and per block: kernel, stride, SE.
STAGES = (
    ('Stem', 'conv1', 16, ((3, 2, False),)),
    ('Stage 0', 'blocks2', 32, ((3, 1, False),)),
    ('Stage 1', 'blocks3', 64, ((3, 2, False), (3, 1, False))),
    ('Stage 2', 'blocks4', 128, ((3, 2, False), (3, 1, False))),
    ('Stage 3', 'blocks5', 256, ((3, 2, False), *((5, 1, False),) * 5)),
    ('Stage 4', 'blocks6', 512, ((5, 2, True), (5, 1, True))),
)
BLOCK = (
    'depthwise kxk convolution',
    'batch norm, h-swish',
    'squeeze-and-excitation (SE)',
    '1x1 convolution',
    'batch norm, h-swish',
)
TRAINING = (
    ('Image and annotation', 'COCO, Pascal VOC, Cityscapes, ImageNet, lists'),
    ('Data set', 'files and classes are checked before the run'),
    ('Transforms', 'crop, flip, distort colors; in loader processes'),
    ('Batch', 'detectors: one random size for all its images'),
    ('Data preprocessor', 'color order, normalization, padding'),
    ('Backbone: PPLCNet', 'features at strides 4 to 32'),
    ('Neck (detectors)', 'PAN, CSPPAN or LCPAN mixes the levels'),
    ('Head', 'class scores, distances of the sides, or logits'),
    ('Assigner and losses', 'the whole batch at once'),
    ('Optimizer and EMA', 'rate scaled by the batch size'),
    ('Checkpoint', 'renamed only when complete'),
)
EXPORT = (
    ('Config and checkpoint', 'lcnet deploy reads classes, test pipeline, metric'),
    ('ONNX', 'mmdeploy traces the model; rewriters replace parts'),
    ('OpenVINO', 'end2end.xml and end2end.bin'),
    ('Comparison', 'PyTorch, ONNX Runtime and OpenVINO: parity.json'),
    ('INT8, with --int8', 'kept within a limit on the lost accuracy'),
    ('model.json', 'all that the runtime needs to know'),
)
RUNTIME = (
    ('Image', 'file or BGR array'),
    ('Resize, crop, pad', 'OpenCV, as in the test pipeline'),
    ('Color and normalization', 'inside the OpenVINO graph'),
    ('Network', 'OpenVINO on the CPU'),
    ('NMS, argmax or softmax', 'in the graph; raw detections: NMS by OpenCV'),
    ('Result in image pixels', 'boxes, class map or probabilities'),
)


def text(x: float, y: float, content: str, classes: str = '') -> str:
    """Return one line of text."""
    return f'<text x="{x:g}" y="{y:g}" class="{classes}">{escape(content)}</text>'


def box(x: float, y: float, width: float, height: float, classes: str = 'box') -> str:
    """Return a rounded rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{classes}"/>'


def arrow(x: float, top: float, bottom: float) -> str:
    """Return an arrow that points down."""
    head = f'<path class="head" d="M{x - 4:g} {bottom - 6:g}h8l-4 6z"/>'
    return f'<path class="arrow" d="M{x:g} {top:g}V{bottom - 5:g}"/>{head}'


def document(title: str, height: float, parts: Sequence[str]) -> str:
    """Return the SVG document with its own background."""
    return '\n'.join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="480" role="img">',
            f'<title>{escape(title)}</title>',
            f'<style>{STYLE}</style>',
            f'<rect width="{WIDTH}" height="{height:g}" rx="10" class="panel"/>',
            *parts,
            '</svg>\n',
        )
    )


def chain(steps: Sequence[tuple[str, str]], top: float) -> tuple[list[str], float]:
    """Return boxes one below the other, with arrows between them, and where they end."""
    parts = []
    for index, (name, note) in enumerate(steps):
        if index:
            parts.append(arrow(WIDTH / 2, top - 16, top))
        parts += [box(MARGIN, top, WIDTH - 2 * MARGIN, 44)]
        parts += [
            text(WIDTH / 2, top + 18, name, 'strong middle'),
            text(WIDTH / 2, top + 35, note, 'small note middle'),
        ]
        top += 60
    return parts, top - 16


def network() -> str:
    """Return the stages of PP-LCNet with kernels, strides and SE."""
    parts = [text(MARGIN, 28, 'Image: 3 channels', 'strong')]
    top, stride = 42.0, 1
    for name, module, channels, blocks in STAGES:
        parts += [text(MARGIN, top + 18, name, 'strong'), text(MARGIN + 64, top + 18, module, 'note small')]
        for index, (kernel, block_stride, has_se) in enumerate(blocks):
            x = MARGIN + index * 45
            stride *= block_stride
            parts.append(box(x, top + 26, 41, 36, 'mark' if block_stride == 2 else 'box'))
            parts.append(text(x + 20.5, top + (42 if has_se else 48), f'{kernel}x{kernel}', 'small middle'))
            if has_se:
                parts.append(text(x + 20.5, top + 56, 'SE', 'small strong middle'))
        parts += [text(300, top + 42, f'stride {stride}'), text(300, top + 58, f'{channels} channels', 'note')]
        top += 76
    parts += [
        box(MARGIN, top + 6, 18, 18, 'mark'),
        text(MARGIN + 26, top + 20, 'stride 2; the other blocks have stride 1'),
    ]
    parts.append(text(MARGIN, top + 42, 'Channels are those of width 1.0. Stages 0 to 4 can be outputs.', 'note small'))
    parts.append(text(MARGIN, top + 74, 'One block of stages 0 to 4', 'strong'))
    for index, step in enumerate(BLOCK):
        y = top + 84 + index * 36
        parts.append(box(MARGIN, y, 250, 26, 'plain' if 'SE' in step else 'box'))
        parts.append(text(MARGIN + 125, y + 17, step, 'middle'))
        if index:
            parts.append(arrow(MARGIN + 125, y - 10, y))
    parts.append(text(MARGIN + 262, top + 84 + 2 * 36 + 17, 'in stage 4', 'note'))
    return document('The stages of PP-LCNet', top + 84 + len(BLOCK) * 36 + 6, parts)


def layers() -> str:
    """Return the layers of the package, read from the contract that the tests check."""
    contracts = tomllib.loads((HERE.parents[1] / 'pyproject.toml').read_text())['tool']['importlinter']['contracts']
    rows = next(contract['layers'] for contract in contracts if contract['type'] == 'layers')
    parts, top = [], float(MARGIN)
    for row in rows:
        names = [name.strip().removeprefix('lcnet_mm.') for name in re.split(r'[|:]', row)]
        width = (WIDTH - 2 * MARGIN - 8 * (len(names) - 1)) / len(names)
        if top > MARGIN:
            parts.append(arrow(WIDTH / 2, top - 16, top))
        for index, name in enumerate(names):
            x = MARGIN + index * (width + 8)
            parts += [box(x, top, width, 32), text(x + width / 2, top + 21, name, 'strong middle')]
        top += 48
    parts.append(
        text(WIDTH / 2, top + 6, 'A package may import from those below it, never from above.', 'note small middle')
    )
    return document('The layers of the package', top + 20, parts)


def training() -> str:
    """Return the road of an image through a training step."""
    parts, bottom = chain(TRAINING, MARGIN)
    return document('The road of an image through training', bottom + MARGIN, parts)


def export() -> str:
    """Return the road from a checkpoint to a prediction of the runtime."""
    upper, middle = chain(EXPORT, 42)
    lower, bottom = chain(RUNTIME, middle + 54)
    headings = [
        text(MARGIN, 28, 'Export, once', 'strong'),
        text(MARGIN, middle + 40, 'Runtime, for each image; no torch', 'strong'),
    ]
    return document('The road from a checkpoint to a result', bottom + MARGIN, [*headings, *upper, *lower])


DIAGRAMS: dict[str, Callable[[], str]] = dict(network=network, layers=layers, training=training, export=export)

if __name__ == '__main__':
    for name, draw in DIAGRAMS.items():
        (HERE / f'{name}.svg').write_text(draw())
