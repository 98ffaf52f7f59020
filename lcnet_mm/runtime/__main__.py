"""``python -m lcnet_mm.runtime MODEL INPUT… --out DIR``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2

from ..utils.errors import UserError, run_cli
from ..utils.files import write_json
from ..utils.images import IMAGE_SUFFIXES, drawing_path, find_images, read_image, write_image
from .drawing import draw, to_json
from .models import Model, load_model

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm')


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog='python -m lcnet_mm.runtime',
        description='Run an exported model on images, folders, a video or a camera: drawings and JSON.',
        epilog='example: python -m lcnet_mm.runtime work_dirs/demo/deploy data/digits/val2017 --out results',
    )
    parser.add_argument('model', help="the export's folder, or its model.json or an .xml of it")
    parser.add_argument(
        'inputs', nargs='+', metavar='IMAGE|DIR|VIDEO|CAMERA', help='images and folders, or one video, or a number'
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the drawings and predictions.json')
    parser.add_argument('--score-thr', type=float, default=0.3, help='least score of a detection (default: 0.3)')
    parser.add_argument('--threads', type=int, metavar='N', help='threads (default: all cores)')
    parser.add_argument('--int8', action='store_true', help="run the export's INT8 model")
    parser.add_argument('--max-frames', type=int, metavar='N', help='stop a video or camera after N frames')
    args = parser.parse_args()
    model = load_model(args.model, args.threads, args.int8)
    out_dir = Path(args.out)
    first = args.inputs[0]
    is_camera = first.isdigit() and not Path(first).exists()
    if is_camera or Path(first).suffix.lower() in VIDEO_SUFFIXES:
        if len(args.inputs) > 1:
            raise UserError(f'{first} must be the only input')
        return run_video(model, int(first) if is_camera else first, out_dir, args.score_thr, args.max_frames)
    return run_images(model, find_images(args.inputs), out_dir, args.score_thr)


def run_images(model: Model, images: list[Path], out_dir: Path, score_thr: float) -> int:
    """Predict images; one that fails does not stop the others, and is named at the end."""
    out_dir.mkdir(parents=True, exist_ok=True)
    done: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    taken: set[Path] = set()
    for path, result in zip(images, model.infer_many(images), strict=True):
        if isinstance(result, UserError):
            failures.append(dict(file=str(path), reason=str(result)))
            continue
        image = read_image(path)
        target = drawing_path(path, taken, out_dir)
        write_image(target, draw(model, image, result, score_thr))
        height, width = image.shape[:2]
        done.append(
            dict(file=str(path), width=width, height=height, drawing=str(target), **to_json(model, result, score_thr))
        )
    write_json(out_dir / 'predictions.json', dict(images=done, failures=failures))
    print(f'{len(done)} images drawn, predictions in {out_dir / "predictions.json"}')
    for failure in failures:
        print(f'error: {failure["reason"]}', file=sys.stderr)
    return 1 if failures else 0


def run_video(model: Model, source: int | str, out_dir: Path, score_thr: float, max_frames: int | None) -> int:
    """Predict the frames of a video or a camera; writes ``video.mp4`` and ``predictions.json``."""
    if isinstance(source, str) and not Path(source).is_file():
        raise UserError(f'video {source} does not exist')
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        raise UserError(f'{"camera" if isinstance(source, int) else "video"} {source} cannot be opened')
    out_dir.mkdir(parents=True, exist_ok=True)
    target, writer = out_dir / 'video.mp4', None
    frames: list[dict[str, Any]] = []
    try:
        while max_frames is None or len(frames) < max_frames:
            read, image = capture.read()
            if not read:
                break
            result = model(image)
            if writer is None:
                rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
                writer = cv2.VideoWriter(str(target), cv2.VideoWriter.fourcc(*'mp4v'), rate, image.shape[1::-1])
            writer.write(draw(model, image, result, score_thr))
            frames.append(to_json(model, result, score_thr))
    except KeyboardInterrupt:
        # The end of a camera: what was seen is kept.
        pass
    finally:
        capture.release()
        if writer is not None:
            writer.release()
    if not frames:
        raise UserError(f'{source} has no frame that can be decoded (images end with {", ".join(IMAGE_SUFFIXES)})')
    write_json(out_dir / 'predictions.json', dict(source=str(source), frames=frames))
    print(f'{len(frames)} frames in {target}, predictions in {out_dir / "predictions.json"}')
    return 0


if __name__ == '__main__':
    run_cli(main)
