"""mmdeploy's OpenVINO backend on today's OpenVINO.

mmdeploy 1.3.1 imports ``openvino.inference_engine`` and calls the ``mo`` program, and both left OpenVINO in 2024. The
classes here take their places in mmdeploy's own registries. They read from the deploy config::

    backend_config = dict(
        type='openvino',
        compress_to_fp16=False,
        compile_options=dict(INFERENCE_PRECISION_HINT='f32', PERFORMANCE_HINT='LATENCY', INFERENCE_NUM_THREADS=1),
    )
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mmdeploy.apis.openvino
import mmdeploy.backend.openvino
import mmdeploy.backend.openvino.onnx2openvino
import openvino
import torch
from mmdeploy.apis.openvino import get_mo_options_from_cfg
from mmdeploy.backend.base import BACKEND_MANAGERS, BACKEND_WRAPPER, BaseBackendManager, BaseWrapper
from mmdeploy.utils import Backend, get_backend_config
from mmdeploy.utils.timer import TimeCounter

from ..utils.openvino import COMPILE_OPTIONS, openvino_core
from .conversion import ConversionOptions, convert_onnx, from_onnx, parse_mo_options

# mmdeploy's timer knows a name once, and the wrapper that is replaced has taken it.
TimeCounter.names.pop(Backend.OPENVINO.value, None)

# Shapes of the inputs by name, sorted.
_Shapes = tuple[tuple[str, tuple[int, ...]], ...]
# Compiled models are kept for so many input shapes.
MAX_SHAPES = 8


def compile_options(deploy_cfg: Any) -> dict[str, Any]:
    """Return OpenVINO's compile options: ``backend_config.compile_options`` over the defaults."""
    given = get_backend_config(deploy_cfg).get('compile_options', {}) if deploy_cfg is not None else {}
    return {**COMPILE_OPTIONS, **given}


def conversion_options(deploy_cfg: Any) -> ConversionOptions:
    """Return the options of a deploy config: ``mo_options``, and ``backend_config.compress_to_fp16`` over them."""
    options = parse_mo_options(get_mo_options_from_cfg(deploy_cfg).get_options())
    fp16 = get_backend_config(deploy_cfg).get('compress_to_fp16', options.compress_to_fp16)
    return replace(options, compress_to_fp16=bool(fp16))


def _stack(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join outputs ``(1, …)`` of single images; the shorter ones are padded with zeros along the second axis."""
    if parts[0].ndim < 2:
        return torch.cat(list(parts))
    count = max(part.shape[1] for part in parts)
    stacked = parts[0].new_zeros(len(parts), count, *parts[0].shape[2:])
    for index, part in enumerate(parts):
        stacked[index, : part.shape[1]] = part[0]
    return stacked


@BACKEND_MANAGERS.register('openvino')
class OpenVINOManager(BaseBackendManager):
    """Converts in-process with ``openvino.convert_model`` and runs with ``openvino.Core``."""

    @classmethod
    def build_wrapper(
        cls,
        backend_files: Sequence[str],
        device: str = 'cpu',
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        deploy_cfg: Any = None,
        **_: Any,
    ) -> OpenVINOWrapper:
        """Build the wrapper of the ``.xml`` file ``backend_files[0]``."""
        return OpenVINOWrapper(backend_files[0], output_names, compile_options(deploy_cfg))

    @classmethod
    def is_available(cls, with_custom_ops: bool = False) -> bool:
        """Return True: this module imports OpenVINO, and there are no custom ops."""
        return True

    @classmethod
    def get_version(cls) -> str:
        """Return the version of OpenVINO."""
        return version('openvino')

    @classmethod
    def to_backend(
        cls,
        ir_files: Sequence[str],
        work_dir: str,
        deploy_cfg: Any,
        log_level: int = logging.INFO,
        device: str = 'cpu',
        **_: Any,
    ) -> Sequence[str]:
        """Convert ONNX files into ``work_dir`` and return the ``.xml`` files.

        The input shapes stay those of the files, so that a model of dynamic shape stays dynamic.

        Raises:
            ValueError: an option of ``mo_options`` cannot be followed.
        """
        options = conversion_options(deploy_cfg)
        return [str(convert_onnx(path, Path(work_dir, f'{Path(path).stem}.xml'), options)) for path in ir_files]


@BACKEND_WRAPPER.register_module(Backend.OPENVINO.value, force=True)
class OpenVINOWrapper(BaseWrapper):
    """Run an OpenVINO model on the CPU; each input shape is compiled once.

    Args:
        ir_model_file: The ``.xml`` file.
        output_names: Names of the outputs in order; those of the model by default.
        options: OpenVINO's compile options.
    """

    def __init__(
        self, ir_model_file: str, output_names: Sequence[str] | None = None, options: dict[str, Any] | None = None
    ) -> None:
        self.core = openvino_core()
        self.model = self.core.read_model(ir_model_file)
        self.options = COMPILE_OPTIONS if options is None else options
        self.requests: OrderedDict[_Shapes, openvino.InferRequest] = OrderedDict()
        super().__init__(list(output_names or [output.any_name for output in self.model.outputs]))

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Run the model.

        Args:
            inputs: Tensors by input name. A model of batch 1 takes a larger batch image by image.

        Returns:
            Tensors by output name. Where images have different numbers of detections, those of fewer are padded with
            zeros, which are scores of 0.

        Raises:
            ValueError: the shape does not fit, and the model cannot be reshaped to it.
        """
        batch = len(next(iter(inputs.values())))
        dimension = self.model.inputs[0].partial_shape[0]
        if batch > 1 and dimension.is_static and dimension.get_length() == 1:
            parts = [self.run({name: value[i : i + 1] for name, value in inputs.items()}) for i in range(batch)]
            return {name: _stack([part[name] for part in parts]) for name in self.output_names}
        return self.run(inputs)

    def run(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Run the model once, compiling it first if these shapes are new."""
        arrays = {name: value.detach().cpu().contiguous().numpy() for name, value in inputs.items()}
        request = self.request({name: array.shape for name, array in arrays.items()})
        self.execute(request, arrays)
        return {name: torch.from_numpy(request.get_tensor(name).data.copy()) for name in self.output_names}

    @TimeCounter.count_time(Backend.OPENVINO.value)  # type: ignore[untyped-decorator]  # mmdeploy's has no types
    def execute(self, request: openvino.InferRequest, arrays: dict[str, Any]) -> None:
        """Run the inference; only this is timed."""
        request.infer(arrays, share_inputs=True)

    def request(self, shapes: dict[str, tuple[int, ...]]) -> openvino.InferRequest:
        """Return the infer request for these input shapes."""
        key = tuple(sorted(shapes.items()))
        if key in self.requests:
            self.requests.move_to_end(key)
            return self.requests[key]
        model = self.model
        if any(tuple(model.input(name).partial_shape) != shape for name, shape in shapes.items()):
            model = model.clone()
            try:
                model.reshape(dict(shapes))
                compiled = self.core.compile_model(model, 'CPU', self.options)
            except RuntimeError as error:
                static = {item.any_name: str(item.partial_shape) for item in self.model.inputs}
                raise ValueError(f'the model was exported for {static} and cannot take {shapes}') from error
        else:
            compiled = self.core.compile_model(model, 'CPU', self.options)
        self.requests[key] = compiled.create_infer_request()
        if len(self.requests) > MAX_SHAPES:
            self.requests.popitem(last=False)
        return self.requests[key]


# mmdeploy's packages bind these names when they are imported, and its users import them from there.
mmdeploy.backend.openvino.OpenVINOWrapper = OpenVINOWrapper  # type: ignore[misc, assignment]
mmdeploy.backend.openvino.onnx2openvino.from_onnx = from_onnx
mmdeploy.apis.openvino._pipe_from_onnx__impl_ = from_onnx  # type: ignore[attr-defined]
