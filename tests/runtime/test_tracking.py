"""Objects that are followed through the frames of a video."""

import numpy as np
import pytest

pytest.importorskip('trackers', reason='trackers is not installed')

from lcnet_mm.runtime import Detections, Tracker


def frame(*entries):
    """Detections of entries ``(left, score, label)``, boxes of 20x20 pixels."""
    values = np.array(entries, np.float32).reshape(-1, 3)
    order = np.argsort(-values[:, 1])
    left, scores, labels = values[order].T
    boxes = np.stack([left, 0 * left, left + 20, 0 * left + 20], 1)
    return Detections(boxes, scores, labels.astype(int), ['car', 'bus'])


def test_objects_keep_their_numbers_while_they_move_and_change_their_order():
    tracker = Tracker(frame_rate=10, score_threshold=0.5)
    seen = []
    for step in range(6):
        # Two objects that move apart; their scores take turns, and the second is weak once.
        weak = 0.2 if step == 4 else 0.7
        tracked = tracker.update(frame((100 - 3 * step, 0.6 + 0.2 * (step % 2), 0), (200 + 3 * step, weak, 1)))
        assert len(tracked) == 2 and (np.diff(tracked.scores) <= 0).all()
        seen.append(dict(zip(tracked.labels.tolist(), tracked.track_ids.tolist(), strict=True)))
    last = seen[-1]
    assert last[0] != last[1] and min(last.values()) >= 0
    assert all(step == last for step in seen[2:])


def test_noise_is_left_out_and_weak_boxes_start_no_track():
    tracker = Tracker(score_threshold=0.5)
    for _ in range(5):
        tracked = tracker.update(frame((100, 0.3, 0), (200, 0.05, 1)))
    assert 0.05 not in tracked.scores
    assert (tracked.track_ids == -1).all()


def test_a_frame_without_objects():
    tracker = Tracker()
    assert len(tracker.update(frame())) == 0
    assert len(tracker.update(frame((5, 0.9, 0)))) == 1


def test_tracks_are_drawn_and_described():
    tracker = Tracker(score_threshold=0.5)
    for _ in range(4):
        tracked = tracker.update(frame((30, 0.9, 1)))
    (entry,) = tracked.describe()
    assert entry == {'class': 'bus', 'label': 1, 'score': pytest.approx(0.9), 'bbox': [30, 0, 50, 20], 'track': 0}
    assert 'track' not in frame((30, 0.9, 1)).describe()[0]
    assert tracked.to_supervision().tracker_id.tolist() == [0]
    assert tracked.draw(np.zeros((40, 80, 3), np.uint8)).max() > 0
