"""The files of a report: what the page has, that it loads nothing, and that nothing of the user's is replaced."""

import hashlib
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from lcnet_mm.reports import ReportMetric, check_report_folder, write_report
from lcnet_mm.utils.errors import UserError

BOX = [10.0, 10.0, 40.0, 40.0]
# To save no plots, which takes most of the time.
NO_PLOTS = ('lcnet_mm.reports.figures._save', lambda *_: b'')
VOID = {'meta', 'img', 'br', 'link', 'input', 'hr'}


class Page(HTMLParser):
    """Text, tags and addresses of a page; every tag must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.addresses, self.tags, self.text = [], [], [], ''
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ('src', 'href', 'srcset', 'data', 'action')]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


class Labels:
    """A data set of mmdet with one labeled box."""

    metainfo = dict(classes=('<i>cat</i>', 'dog'))

    def __init__(self, path):
        self.path = str(path)

    def __len__(self):
        return 1

    def get_data_info(self, index):
        return dict(img_path=self.path, instances=[dict(bbox=BOX, bbox_label=0, ignore_flag=0)])


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What a report is written of: one image with one box that is found, and one that is not there."""
    latency = dict(median=2.5, p90=3.0, minimum=2.0, calls=30)
    measured = dict(input_size=[320, 320], milliseconds={'1': latency}, load=0.5, problem='')
    monkeypatch.setattr('lcnet_mm.reports.writing.measure_export', lambda *_: measured)
    cv2.imwrite(str(tmp_path / 'cat.jpg'), np.full((50, 60, 3), 90, np.uint8))
    (tmp_path / 'last.pth').write_bytes(b'weights')
    (tmp_path / 'my_detector.py').write_text("default_scope = 'mmdet'\nmodel = dict(type='X')\n")
    cfg = Config.fromfile(tmp_path / 'my_detector.py')
    found = SimpleNamespace(bboxes=np.array([BOX, [0, 0, 9, 9]]), scores=np.array([0.9, 0.9]), labels=np.array([0, 1]))
    sample = dict(img_path=str(tmp_path / 'cat.jpg'), ori_shape=(50, 60), img_id=1, pred_instances=vars(found))
    metric = ReportMetric('detection', 2)
    metric.process({}, [sample])
    metric.compute_metrics(metric.results)
    metrics = {'coco/bbox_mAP': np.float64(0.5), 'coco/bbox_mAP_l': float('nan')}
    return cfg, tmp_path / 'last.pth', metrics, metric, Labels(tmp_path / 'cat.jpg')


def test_page_and_json(given, tmp_path, monkeypatch):
    folder = tmp_path / 'a' / 'report'
    check_report_folder(folder)
    assert not folder.exists()
    file = write_report(folder, *given)
    assert sorted(path.name for path in folder.iterdir()) == ['report.html', 'report.json']
    text = file.read_text(encoding='utf-8')
    page = Page(text)
    # Nothing is loaded: every address is the data itself, and neither style nor script names another.
    assert len(page.addresses) == 6 and all(address.startswith('data:image/') for address in page.addresses)
    assert 'script' not in page.tags and 'link' not in page.tags and not re.search(r'url\(|@import', text)
    for part in ('my_detector', 'Precision and recall', 'F1 by threshold', 'Confusion matrix', 'By size', '<i>cat</i>'):
        assert part in page.text
    assert 'Images with the most errors' in page.text and '1 error: 1 labels, 2 detections' in page.text
    assert '2.50 ms' in page.text and "default_scope = 'mmdet'" in page.text and 'torch' in page.text
    values = json.loads((folder / 'report.json').read_text())
    assert values['task'] == 'detection' and values['metrics'] == {'coco/bbox_mAP': 0.5, 'coco/bbox_mAP_l': None}
    assert values['classes'][0]['ap'] == pytest.approx(1) and values['classes'][1]['ap'] is None
    assert values['confusion']['counts'] == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert values['latency']['milliseconds']['1']['median'] == 2.5
    assert values['checkpoint_sha256'] == hashlib.sha256(b'weights').hexdigest()
    # Another one takes its place.
    monkeypatch.setattr(*NO_PLOTS)
    page_before = file.stat().st_ino
    write_report(folder, *given)
    assert file.stat().st_ino != page_before and len(list(folder.iterdir())) == 2


def test_outputs_that_are_not_finite(given, tmp_path, monkeypatch):
    """A training that went wrong has a report too, and JSON has no NaN."""
    monkeypatch.setattr(*NO_PLOTS)
    metric = ReportMetric('classification', 2)
    sample = dict(gt_label=torch.tensor([0]), pred_score=torch.tensor([np.nan, np.nan]))
    metric.process({}, [dict(img_path=str(tmp_path / 'cat.jpg'), ori_shape=(50, 60), **sample)])
    metric.compute_metrics(metric.results)
    write_report(tmp_path / 'report', *given[:2], {}, metric, given[4])
    text = (tmp_path / 'report' / 'report.json').read_text()
    assert 'NaN' not in text and json.loads(text)['classes'][0]['best_f1']['threshold'] is None


def test_folders_that_are_not_reports(tmp_path):
    mine = tmp_path / 'mine'
    mine.mkdir()
    check_report_folder(mine)
    (mine / 'report.json').write_text('{"results": []}')
    with pytest.raises(UserError, match='mine has files and no earlier report; choose a new or an empty folder'):
        check_report_folder(mine)
    with pytest.raises(UserError, match='which is a file; choose a folder'):
        check_report_folder(mine / 'report.json')
    with pytest.raises(UserError, match=r'report\.json cannot be written to'):
        check_report_folder(mine / 'report.json' / 'inside')


def test_a_report_that_cannot_be_written_leaves_nothing(given, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, 'No space left on device', 'report.json')

    monkeypatch.setattr(*NO_PLOTS)
    monkeypatch.setattr('lcnet_mm.utils.files.os.replace', fail)
    with pytest.raises(UserError, match=r'cannot be written: report\.json: No space left on device'):
        write_report(tmp_path / 'report', *given)
    assert not (tmp_path / 'report').exists()


def test_an_image_that_is_gone(given, tmp_path, monkeypatch):
    monkeypatch.setattr(*NO_PLOTS)
    (tmp_path / 'cat.jpg').unlink()
    Page(write_report(tmp_path / 'report', *given).read_text(encoding='utf-8'))
    assert json.loads((tmp_path / 'report' / 'report.json').read_text())['latency'] == dict(missing='no image')
