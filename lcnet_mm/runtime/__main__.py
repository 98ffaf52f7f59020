"""``python -m lcnet_mm.runtime MODEL INPUT… --out DIR``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from ..utils.errors import UserError, run_cli
from ..utils.images import IMAGE_SUFFIXES, find_images, read_image
from ..utils.predictions import PredictionWriter
from ..utils.results import ResultFolder
from .detector import Detector
from .drawing import draw, to_json
from .loading import load_model
from .models import Model
from .tracking import Tracker
from .video import VideoSource, VideoWriter, count_frames, is_video


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog='python -m lcnet_mm.runtime',
        description='Run an exported model on images, folders, a video or a camera: drawings and JSON.',
        epilog='example: python -m lcnet_mm.runtime work_dirs/demo/deploy data/digits/val2017 --out results',
    )
    parser.add_argument('model', help="the export's folder, or its model.json or an .xml of it")
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IMAGE|DIR|VIDEO|CAMERA|URL',
        help='images and folders, or one video, or the number of a camera, or the address of a stream (rtsp, http)',
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder of the drawings and predictions.json')
    parser.add_argument('--score-thr', type=float, default=0.3, help='least score of a detection (default: 0.3)')
    parser.add_argument('--threads', type=int, metavar='N', help='threads (default: all cores)')
    parser.add_argument('--int8', action='store_true', help="run the export's INT8 model")
    parser.add_argument('--cache', metavar='DIR', help='folder of compiled models, for a faster start')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='only objects of these classes')
    parser.add_argument(
        '--tile',
        nargs=2,
        type=int,
        metavar=('W', 'H'),
        help='look at large images in tiles of this size, which finds smaller objects',
    )
    parser.add_argument(
        '--overlap', type=float, metavar='X', help='share of a tile that its neighbor sees too (default: 0.2)'
    )
    parser.add_argument('--track', action='store_true', help='number the objects of a video (ByteTrack)')
    parser.add_argument('--max-frames', type=int, metavar='N', help='stop a video or camera after N frames')
    args = parser.parse_args()
    for name, value, is_right, allowed in (
        ('--score-thr', args.score_thr, 0 <= args.score_thr <= 1, 'within 0 and 1'),
        ('--threads', args.threads, args.threads is None or args.threads >= 1, 'at least 1'),
        ('--max-frames', args.max_frames, args.max_frames is None or args.max_frames >= 1, 'at least 1'),
        ('--tile', args.tile, args.tile is None or min(args.tile) >= 1, 'at least 1 1'),
        ('--overlap', args.overlap, args.overlap is None or 0 <= args.overlap <= 0.9, 'within 0 and 0.9'),
    ):
        if not is_right:
            raise UserError(f'{name} must be {allowed}, got {value}')
    if args.overlap is not None and args.tile is None:
        raise UserError('--overlap is for --tile; add it')
    first = args.inputs[0]
    if is_video(first):
        if len(args.inputs) > 1:
            raise UserError(f'{first} must be the only input')
        source = VideoSource(first)
        folder = ResultFolder(args.out, [Path(first)] if source.kind == 'video' else [])
        return run_video(_open_model(args), source, folder, args)
    if args.track:
        raise UserError(f'--track is for a video or a camera, and {first} is neither')
    images = find_images(args.inputs)
    writer = PredictionWriter(args.out, images)
    return run_images(_open_model(args), images, writer, args)


def _open_model(args: argparse.Namespace) -> Model:
    """Open the model; with an option that only detectors have, as a detector."""
    if args.tile or args.classes or args.track:
        return Detector(args.model, args.threads, args.int8, args.cache, classes=args.classes)
    return load_model(args.model, args.threads, args.int8, args.cache)


def _predict(model: Model, image: Any, args: argparse.Namespace) -> Any:
    """Predict one image, in tiles where they are asked for."""
    if not args.tile:
        return model(image)
    options = {} if args.overlap is None else dict(overlap=args.overlap)
    return cast('Detector', model)(image, tile=tuple(args.tile), **options)


def _predict_all(model: Model, images: list[Path], args: argparse.Namespace) -> Iterator[Any]:
    """Yield for each image its prediction, or the error that it ran into."""
    if not args.tile:
        yield from model.infer_many(images)
        return
    for image in tqdm(images, unit='image'):
        try:
            result = _predict(model, image, args)
        except UserError as error:
            result = error
        yield result


def run_images(model: Model, images: list[Path], writer: PredictionWriter, args: argparse.Namespace) -> int:
    """Predict images; one that fails does not stop the others, and is named at the end."""
    score_thr = args.score_thr
    with writer:
        for path, result in zip(images, _predict_all(model, images, args), strict=True):
            try:
                if isinstance(result, UserError):
                    raise ValueError(str(result).removeprefix(f'image {path} '))
                image = read_image(path)
            except ValueError as error:
                writer.fail(path, str(error))
                continue
            size = (image.shape[1], image.shape[0])
            writer.add(path, size, draw(model, image, result, score_thr), to_json(model, result, score_thr))
    print(f'{len(writer.images)} images drawn, predictions in {writer.json_file}')
    for failure in writer.failures:
        print(f'error: {failure["file"]}: {failure["reason"]}', file=sys.stderr)
    return 1 if writer.failures else 0


def run_video(model: Model, source: VideoSource, folder: ResultFolder, args: argparse.Namespace) -> int:
    """Predict the frames of a video, a camera or a stream; writes ``video.mp4`` and ``predictions.json``."""
    folder.make()
    (target,) = folder.name('video', '.mp4')
    frames: list[dict[str, Any]] = []
    tracker = Tracker(source.rate, args.score_thr) if args.track else None
    # The codec is chosen by the suffix, so that the unfinished video needs a folder.
    with (
        tempfile.TemporaryDirectory(dir=folder.folder, prefix='.partial-') as partial_dir,
        tqdm(total=args.max_frames or source.count or None, unit='frame') as bar,
    ):
        partial = Path(partial_dir, target.name)
        video = VideoWriter(partial, source.rate)
        try:
            for image in islice(source, args.max_frames):
                result = _predict(model, image, args)
                if tracker is not None:
                    result = tracker.update(result)
                video.write(draw(model, image, result, args.score_thr))
                frames.append(to_json(model, result, args.score_thr))
                bar.update()
        except KeyboardInterrupt:
            # The end of a camera: what was seen is kept.
            pass
        finally:
            video.close()
        if not frames:
            folder.remove_if_new()
            raise UserError(
                f'{source.name} has no frame that can be decoded (images end with {", ".join(IMAGE_SUFFIXES)})'
            )
        if count_frames(partial) < len(frames):
            raise UserError(f'video {target} cannot be written in full; is the disk full?')
        os.replace(partial, target)
    file = folder.write_json(dict(source=source.name, video=str(target), frames=frames))
    print(f'{len(frames)} frames in {target}, predictions in {file}')
    if args.max_frames is None and len(frames) < source.count:
        print(
            f'note: {source.name} says that it has {source.count} frames; the others cannot be decoded', file=sys.stderr
        )
    return 0


if __name__ == '__main__':
    run_cli(main)
