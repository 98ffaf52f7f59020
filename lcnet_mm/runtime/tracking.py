"""Objects followed through the frames of a video."""

from __future__ import annotations

import numpy as np

from ..utils.optional import require
from .results import Detections

# Weaker boxes are noise; those between this score and the threshold prolong a track and start none.
_WEAKEST = 0.1


class Tracker:
    """ByteTrack, as the package trackers has it: a number for each object, the same in all frames.

    Args:
        frame_rate: Frames per second.
        score_threshold: Score from which on a box starts a track; weaker ones, down to 0.1, prolong tracks.

    Raises:
        ImportError: trackers is not installed.
    """

    def __init__(self, frame_rate: float = 30.0, score_threshold: float = 0.3) -> None:
        require('trackers', 'lcnet_mm.runtime.Tracker', 'tracking')
        from trackers import ByteTrackTracker

        self._tracker = ByteTrackTracker(
            frame_rate=frame_rate,
            track_activation_threshold=score_threshold,
            high_conf_det_threshold=score_threshold,
        )

    def update(self, found: Detections) -> Detections:
        """Return the detections of the next frame with their tracks.

        Args:
            found: All detections of the frame, weak ones too.

        Returns:
            The detections of at least 0.1 with ``track_ids``, best first; -1 where an object was not seen often enough
            yet.
        """
        tracked = self._tracker.update(found.select(found.scores >= _WEAKEST).to_supervision())
        assert tracked.confidence is not None and tracked.class_id is not None and tracked.tracker_id is not None
        order = np.argsort(-tracked.confidence, kind='stable')
        return Detections(
            tracked.xyxy[order],
            tracked.confidence[order],
            tracked.class_id[order].astype(np.int64),
            found.names,
            tracked.tracker_id[order].astype(np.int64),
        )
