"""mmengine's visualization backends by name."""

from __future__ import annotations

from collections.abc import Iterable

from mmengine.config import Config

from ..utils.errors import UserError
from ..utils.optional import installed

# Name, which is also that of the package to import, and mmengine's class.
VIS_BACKENDS = {
    'tensorboard': 'TensorboardVisBackend',
    'wandb': 'WandbVisBackend',
    'mlflow': 'MLflowVisBackend',
    'clearml': 'ClearMLVisBackend',
    'neptune': 'NeptuneVisBackend',
    'dvclive': 'DVCLiveVisBackend',
    'aim': 'AimVisBackend',
}

# What to install, where it is not the newest version: later ones need a protobuf that mmdeploy's onnx does not take.
_PACKAGES = {'tensorboard': "'tensorboard<2.21'"}


def add_vis_backends(cfg: Config, names: Iterable[str]) -> None:
    """Let a run write its scalars, images and config to these backends, beside those of its config.

    Args:
        cfg: The config.
        names: Of :data:`VIS_BACKENDS`.

    Raises:
        UserError: a name is unknown, or its package is not installed.
    """
    for name in dict.fromkeys(names):
        if name not in VIS_BACKENDS:
            raise UserError(f'vis {name} is unknown; there are {", ".join(VIS_BACKENDS)}')
        if not installed(name):
            package = _PACKAGES.get(name, name)
            raise UserError(f'vis {name} needs a package that is not installed: pip install {package}')
        visualizer = cfg.setdefault('visualizer', dict(type='Visualizer'))
        backends = list(visualizer.get('vis_backends') or [])
        if not any(backend.get('type') == VIS_BACKENDS[name] for backend in backends):
            visualizer['vis_backends'] = [*backends, dict(type=VIS_BACKENDS[name])]
