"""Videos and streams: what counts as one, and a stream that breaks off."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import cv2
import numpy as np
import pytest

from lcnet_mm.runtime import video
from lcnet_mm.runtime.video import VideoSource, is_video
from lcnet_mm.utils.errors import UserError


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('a.mp4', True), ('A.AVI', True), ('0', True), ('rtsp://camera/1', True), ('http://host/stream.mjpg', True),
        ('a.jpg', False), ('images', False), ('²', False), ('file://a.mp4x', False),
    ],
)  # fmt: skip
def test_what_is_a_video(name, expected):
    assert is_video(name) is expected


def test_a_folder_may_have_the_name_of_a_video(tmp_path):
    (tmp_path / 'a.mp4').mkdir()
    assert not is_video(str(tmp_path / 'a.mp4'))


@pytest.fixture
def camera():
    """A network camera that ends each of its first two connections after three frames, and refuses more."""
    connections = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            connections.append(self.path)
            if len(connections) > 2:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
            self.end_headers()
            for index in range(3):
                gray = 60 * len(connections) + 10 * index
                data = cv2.imencode('.jpg', np.full((48, 64, 3), gray, np.uint8))[1].tobytes()
                self.wfile.write(b'--frame\r\nContent-Type: image/jpeg\r\n')
                self.wfile.write(f'Content-Length: {len(data)}\r\n\r\n'.encode() + data + b'\r\n')

        def log_message(self, *args):
            pass

    server = HTTPServer(('127.0.0.1', 0), Handler)
    # OpenCV closes a connection as it likes.
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}/stream.mjpg', connections
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_stream_that_breaks_off_is_opened_again(camera, monkeypatch, capsys):
    address, connections = camera
    monkeypatch.setattr(video, '_WAITS', (0.0, 0.0))
    source = VideoSource(address)
    assert (source.kind, source.count) == ('stream', 0) and source.rate > 0
    grays = [float(frame.mean()) for frame in source]
    # Both connections gave their frames, and two more attempts in turn failed.
    assert min(grays) == pytest.approx(60, abs=2) and max(grays) == pytest.approx(140, abs=2)
    assert 4 <= len(grays) <= 6 and len(connections) >= 4
    assert capsys.readouterr().err.splitlines()[0] == f'note: {address} broke off; opening it again (1 of 2)'


@pytest.mark.parametrize(
    ('name', 'message'),
    [('none.mp4', 'video none.mp4 does not exist'), ('http://127.0.0.1:9/x.mjpg', 'cannot be opened')],
)
def test_a_source_that_is_not_there(name, message):
    with pytest.raises(UserError, match=message):
        VideoSource(name)
