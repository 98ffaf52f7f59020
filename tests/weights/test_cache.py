"""Published weights by name, from a local HTTP server that misbehaves in every way."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from golden import load_case, to_torch_names, write_pdparams
from mmengine.runner import CheckpointLoader

from lcnet_mm.apis import UserError, get_weights, load_config, read_checkpoint
from lcnet_mm.engine import load_from_published
from lcnet_mm.utils.models import build_model
from lcnet_mm.weights import cache, catalog, download, find_weights, read_catalog

NAME = 'picodet_xs_320_coco'
FILE = 'picodet_xs_320_coco_lcnet.pdparams'


@pytest.fixture(scope='module')
def content(tmp_path_factory) -> bytes:
    """A file as PaddleDetection publishes it, with other weights."""
    _, state, _ = load_case('picodet_v2_xs')
    return write_pdparams(tmp_path_factory.mktemp('file') / FILE, state).read_bytes()


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; ``faults`` has what happens to the next requests, ``seen`` the ranges that were asked for."""

    def __init__(self, content: bytes) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.content, self.faults, self.seen = content, [], []
        self.address = f'http://127.0.0.1:{self.server_port}'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Server = self.server
        fault = server.faults.pop(0) if server.faults else ''
        server.seen.append(self.headers.get('Range'))
        content = server.content
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if fault == '404' or not self.path.endswith(FILE):
            self.send_error(404)
            return
        if fault == 'redirect':
            self.send_response(302)
            self.send_header('Location', f'/other/{FILE}')
            self.end_headers()
            return
        start = 0
        if self.headers.get('Range') and self.headers.get('If-Range') == etag:
            start = int(self.headers['Range'].removeprefix('bytes=').removesuffix('-'))
        self.send_response(206 if start else 200)
        self.send_header('ETag', etag)
        self.send_header('Content-Length', str(len(content) - start + (1000 if fault == 'length' else 0)))
        self.end_headers()
        body = content[start:]
        if fault in ('cut', 'length'):
            body = body[: len(body) // 2] if fault == 'cut' else body
        if fault == 'stall':
            self.wfile.write(body[:1000])
            time.sleep(1.5)
            return
        if fault == 'slow':
            for part in range(0, len(body), len(body) // 10):
                self.wfile.write(body[part : part + len(body) // 10])
                time.sleep(0.02)
            return
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server(content, tmp_path, monkeypatch):
    server = Server(content)
    threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01), daemon=True).start()
    monkeypatch.setenv('LCNET_MM_HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('LCNET_MM_WEIGHTS', server.address)
    monkeypatch.setattr(download, 'PAUSE', 0.0)
    yield server
    server.shutdown()
    server.server_close()


def home_files(tmp_path) -> set[str]:
    return {path.name for path in (tmp_path / 'home').rglob('*') if path.is_file() and path.suffix != '.lock'}


def test_get_downloads_converts_and_keeps(server, content, tmp_path):
    path = get_weights(NAME, progress=False)
    checkpoint = read_checkpoint(path)
    assert checkpoint['meta']['source_sha256'] == hashlib.sha256(content).hexdigest()
    assert checkpoint['meta']['dataset_meta']['classes'][:2] == ['person', 'bicycle']
    _, state, _ = load_case('picodet_v2_xs')
    expected = to_torch_names(state)['backbone.conv1.conv.weight']
    assert torch.equal(checkpoint['state_dict']['backbone.conv1.conv.weight'], expected)
    assert get_weights(f'lcnet://{NAME}', progress=False) == path
    assert server.seen == [None]
    assert home_files(tmp_path) == {f'{NAME}.pth', f'{NAME}.safetensors', f'{NAME}.json', FILE}


def test_mmengine_loads_by_name(server):
    state = CheckpointLoader.load_checkpoint(f'lcnet://{NAME}', map_location='cpu')['state_dict']
    assert load_from_published(f'lcnet://{NAME}')['state_dict'].keys() == state.keys()
    cfg = load_config('configs/picodet_like/picodet_xs_320_coco.py')
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=f'lcnet://{NAME}', prefix='backbone.')
    model = build_model(cfg)
    model.init_weights()
    assert torch.equal(model.backbone.conv1.conv.weight, state['backbone.conv1.conv.weight'])


@pytest.mark.parametrize('faults, requests', [(['cut'], 2), (['cut', 'cut'], 3), (['redirect', 'cut', 'slow'], 3)])
def test_cut_off_downloads_go_on_where_they_ended(server, content, tmp_path, faults, requests):
    server.faults = faults
    get_weights(NAME, progress=False)
    assert (tmp_path / 'home' / 'downloads' / FILE).read_bytes() == content
    ranges = [given for given in server.seen if given]
    assert len(server.seen) == requests and ranges[0] == f'bytes={len(content) // 2}-'


def test_a_later_call_resumes_unless_the_file_has_changed(server, content, tmp_path):
    server.faults = ['cut'] * 3
    with pytest.raises(UserError, match=r'was cut off after [\d,]+ of [\d,]+ bytes; start again to go on'):
        get_weights(NAME, progress=False)
    partial = tmp_path / 'home' / 'downloads' / f'{FILE}.partial'
    assert len(content) * 0.8 < partial.stat().st_size < len(content)
    assert home_files(tmp_path) == {partial.name, f'{partial.name}.json'}
    server.content = write_pdparams(
        tmp_path / 'other.pdparams', {k: v * 0.5 for k, v in load_case('picodet_v2_xs')[1].items()}
    ).read_bytes()
    get_weights(NAME, progress=False)
    assert (tmp_path / 'home' / 'downloads' / FILE).read_bytes() == server.content
    assert not partial.exists()


@pytest.mark.parametrize(
    'faults, message',
    [
        (['404'], r'answers 404 Not Found\. Without a connection, get https://paddledet.*put it into .*downloads'),
        (['length'] * 3, 'was cut off after'),
        (['stall'] * 3, r'sent nothing for 0.3 seconds after [123],000 of 4,6'),
    ],
)
def test_faults_are_one_line_and_leave_no_weights(server, tmp_path, monkeypatch, faults, message):
    monkeypatch.setattr(download, 'TIMEOUT', 0.3)
    server.faults = faults
    with pytest.raises(UserError, match=message):
        get_weights(NAME, progress=False)
    assert not {FILE, f'{NAME}.pth', f'{NAME}.json'} & home_files(tmp_path)


def test_without_a_connection_the_message_says_how_to_go_on(server, tmp_path, monkeypatch, content):
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError) as caught:
        get_weights(NAME, progress=False)
    text = str(caught.value)
    for part in (
        find_weights(NAME).address,
        str(tmp_path / 'home' / 'downloads'),
        'LCNET_MM_WEIGHTS',
        'cannot be reached',
    ):
        assert part in text
    (tmp_path / 'by hand').mkdir()
    (tmp_path / 'by hand' / FILE).write_bytes(content)
    monkeypatch.setenv('LCNET_MM_WEIGHTS', str(tmp_path / 'by hand'))
    assert get_weights(NAME, progress=False).is_file()


def test_a_file_put_into_the_cache_by_hand_is_taken(server, tmp_path, content):
    (tmp_path / 'home' / 'downloads').mkdir(parents=True)
    (tmp_path / 'home' / 'downloads' / FILE).write_bytes(content)
    get_weights(NAME, progress=False)
    assert server.seen == []


def test_a_recorded_sum_that_changes_is_refused(server, tmp_path):
    path = get_weights(NAME, progress=False)
    path.unlink()
    folder = tmp_path / 'home' / 'downloads'
    (folder / FILE).unlink()
    server.content = write_pdparams(
        tmp_path / 'other.pdparams', {k: v * 0.5 for k, v in load_case('picodet_v2_xs')[1].items()}
    ).read_bytes()
    with pytest.raises(UserError, match=r'is refused: its SHA-256 is \w+, but picodet_xs_320_coco had \w+ before'):
        get_weights(NAME, progress=False)
    assert not path.exists() and not (folder / FILE).exists()
    path.with_suffix('.json').unlink()
    assert get_weights(NAME, progress=False).is_file()


def test_a_published_sum_is_checked(server, tmp_path, monkeypatch):
    entry = replace(find_weights(NAME), sha256='0' * 64)
    monkeypatch.setattr(cache, 'find_weights', lambda name: entry)
    with pytest.raises(UserError, match=f'is not the published file .* expected {"0" * 64}'):
        get_weights(NAME, progress=False)
    assert not home_files(tmp_path)


def test_a_damaged_file_is_not_kept(server, tmp_path):
    server.content = server.content[: len(server.content) // 3]
    with pytest.raises(
        UserError, match=r'weights picodet_xs_320_coco from http://.* cannot be used: .* (is|was) truncated'
    ):
        get_weights(NAME, progress=False)
    assert not home_files(tmp_path)


def test_a_damaged_checkpoint_in_the_cache_is_made_again(server):
    path = get_weights(NAME, progress=False)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:1000])
    assert get_weights(NAME, progress=False).stat().st_size == size
    assert server.seen == [None]


def test_two_processes_at_once_download_once(server):
    server.faults = ['slow']
    code = f'from lcnet_mm.apis import get_weights; print(get_weights({NAME!r}, progress=False))'
    processes = [subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = {process.communicate(timeout=120)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(outputs) == 1 and f'{NAME}.pth' in outputs.pop() and server.seen == [None]


def test_two_files_of_one_name_and_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch, content):
    folder = tmp_path / 'by hand'
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    (folder / f'{NAME}.onnx').write_bytes(b'')
    monkeypatch.setenv('LCNET_MM_WEIGHTS', str(folder))
    with pytest.raises(UserError, match=rf'has {NAME}\.onnx and {FILE} for {NAME}; keep one'):
        get_weights(NAME, progress=False)
    (tmp_path / 'a file').write_text('')
    monkeypatch.setenv('LCNET_MM_HOME', str(tmp_path / 'a file' / 'home'))
    with pytest.raises(UserError, match=r'the cache .* cannot be written: .*; set LCNET_MM_HOME'):
        get_weights(NAME, progress=False)


def test_a_full_disk_is_said_before_the_download(server, monkeypatch, tmp_path):
    usage = download.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, 'disk_usage', lambda path: usage._replace(free=10))
    with pytest.raises(UserError, match=r'the disk of the cache .* is full: .* needs [\d,]+ bytes'):
        get_weights(NAME, progress=False)


def test_the_catalog_names_existing_configs_and_states_a_license():
    entries = read_catalog()
    assert {'pplcnet_1x_in1k', 'pplcnet_0.5x_ssld_stage2', NAME, 'pplcnet_1x_page_orientation'} <= entries.keys()
    assert len({entry.address for entry in entries.values()}) == len(entries)
    for entry in entries.values():
        assert catalog.config_path(entry.config).is_file() and entry.license and entry.kind == 'pdparams'
        assert entry.address.startswith('https://')


def test_an_entry_is_described_with_input_classes_and_results():
    text = find_weights(f'lcnet://{NAME}').describe()
    for part in ('Object Detection', '320x320', 'RGB', "80 classes: 'person'", 'pdparams', 'license: ', 'box AP 23.5'):
        assert part in text, text
    assert "2 classes: '0_degree'" in find_weights('pplcnet_1x_textline_orientation').describe()


def test_an_unknown_name_has_similar_ones():
    with pytest.raises(UserError, match=r"no weights 'picodet_s_320'; similar names: picodet_\w_320_coco"):
        get_weights('picodet_s_320')


def test_records_are_json(server):
    record = json.loads(get_weights(NAME, progress=False).with_suffix('.json').read_text())
    assert record['name'] == NAME and record['address'] == find_weights(NAME).address
    assert np.isfinite(record['size'])
