"""Fixtures for several test files: stand-ins for the published weights, small networks, and a web server."""

import itertools
import os
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Small pictures need no second thread, and the spinning threads of parallel processes slow each other down.
# It is set before torch reads it, and inherited by the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

# Under nohup, SIGHUP is ignored, also by the processes that tests start, some of which have to receive it.
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

import numpy as np
import pytest
import torch
from browsing import chromium
from coverage_files import drop_torn_coverage
from small_networks import SMALL, small_liteunet
from standins import drawn, standin_norm

from colorgan.models.info import ModelInfo
from colorgan.models.loading import save_model
from colorgan.networks.lite_encoder import LITE_SHAPES, LiteEncoder, _published_names


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session):
    """Drop the coverage files of processes that were killed while writing them, before pytest-cov reads all."""
    result = yield
    if not hasattr(session.config, "workerinput"):  # with xdist, once all workers are done
        drop_torn_coverage(session.config.rootpath)
    return result


# Input channels, then output channels of each 3 x 3 convolution, of the published network's model1 to model7.
_PUBLISHED_WIDTHS = [
    (1, 64, 64),
    (64, 128, 128),
    (128, 256, 256, 256),
    (256, 512, 512, 512),
    (512, 512, 512, 512),
    (512, 512, 512, 512),
    (512, 512, 512, 512),
]


def _standin_convolution(name, shape, gain=1.4, transposed=False):
    out, fan_in = (shape[1], 4 * shape[0]) if transposed else (shape[0], int(np.prod(shape[1:])))
    weight = drawn(f"{name}.weight", shape, gain / fan_in**0.5)
    return {f"{name}.weight": weight, f"{name}.bias": drawn(f"{name}.bias", (out,), 0.05)}


@pytest.fixture(scope="session")
def browser():
    """A browser shared by all tests of pages, since it takes seconds to start."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def standin_eccv16():
    """The tensors of the published ECCV16 file by their published names, with made-up values."""
    tensors = {}
    for stage, widths in enumerate(_PUBLISHED_WIDTHS, start=1):
        for index, (into, out) in enumerate(itertools.pairwise(widths)):
            tensors |= _standin_convolution(f"model{stage}.{2 * index}", (out, into, 3, 3))
        tensors |= standin_norm(f"model{stage}.{2 * len(widths) - 2}", widths[-1])
    tensors |= _standin_convolution("model8.0", (512, 256, 4, 4), transposed=True)
    tensors |= _standin_convolution("model8.2", (256, 256, 3, 3))
    tensors |= _standin_convolution("model8.4", (256, 256, 3, 3))
    tensors |= _standin_convolution("model8.6", (313, 256, 1, 1), gain=3.0)
    tensors["model_out.weight"] = drawn("model_out.weight", (2, 313, 1, 1), 0.5)
    return {name: torch.from_numpy(values) for name, values in tensors.items()}


@pytest.fixture(scope="session")
def standin_siggraph17(standin_eccv16):
    """The tensors of the published SIGGRAPH17 file by their published names, with made-up values."""
    shared = {name: t for name, t in standin_eccv16.items() if re.match(r"model[2-7]\.", name)}
    tensors = {
        **_standin_convolution("model1.0", (64, 4, 3, 3)),
        **_standin_convolution("model1.2", (64, 64, 3, 3)),
        **standin_norm("model1.4", 64),
        **standin_norm("model8.5", 256),
        **standin_norm("model9.3", 128),
        **_standin_convolution("model_class.0", (529, 256, 1, 1), gain=3.0),
        **_standin_convolution("model_out.0", (2, 128, 1, 1), gain=0.6),
    }
    for name, into, out in (("model8up.0", 512, 256), ("model9up.0", 256, 128), ("model10up.0", 128, 128)):
        tensors |= _standin_convolution(name, (into, out, 4, 4), transposed=True)
    for name, into, out in (
        ("model3short8.0", 256, 256),
        ("model8.1", 256, 256),
        ("model8.3", 256, 256),
        ("model2short9.0", 128, 128),
        ("model9.1", 128, 128),
        ("model1short10.0", 64, 128),
        ("model10.1", 128, 128),
    ):
        tensors |= _standin_convolution(name, (out, into, 3, 3))
    return {**shared, **{name: torch.from_numpy(values) for name, values in tensors.items()}}


@pytest.fixture(scope="session")
def published_lite0(tmp_path_factory):
    """The file of an EfficientNet-Lite0 with random weights, under the published names."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = LiteEncoder(*LITE_SHAPES["lite0"])
        state = encoder.state_dict()
        tensors = {published: state[ours] for ours, published in _published_names(encoder)}
        tensors["_conv_stem.weight"] = 0.1 * torch.randn(32, 3, 3, 3)
    path = tmp_path_factory.mktemp("published") / "efficientnet-lite0.pth"
    torch.save(tensors | {"_fc.weight": torch.zeros(1000, 1280)}, path)
    return path


@pytest.fixture
def small_network():
    """A network with 15,000 random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return small_liteunet().eval()


@pytest.fixture
def model_info():
    """A description of a model with all fields."""
    return ModelInfo(
        name="small",
        network="liteunet",
        options=SMALL,
        stage="scratch",
        license="MIT",
        made_by="colorgan 1.2.3",
        trained_on="photos of nothing",
        figures={"auc": 88.25, "auc_rebalanced": 63.5},
        render_size=96,
        temperature=0.38,
        edges=True,
    )


@pytest.fixture
def place(tmp_path, small_network, model_info, monkeypatch):
    """The working folder of a test, with a small model and its own cache."""
    save_model(tmp_path / "small.safetensors", small_network, model_info)
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a network whose random weights give strong colors."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = small_liteunet()
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.normal_(module.weight, std=0.3)
        torch.nn.init.normal_(network.head.bins.weight, std=4.0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    info = ModelInfo(
        name="tiny",
        network="liteunet",
        options={},
        stage="scratch",
        license="MIT",
        made_by="the tests",
        trained_on="nothing",
        figures={},
        render_size=32,
        temperature=0.2,
    )
    save_model(path, network.eval(), info)
    return path


class Web(ThreadingHTTPServer):
    """A local web server that serves files correctly, unless a test makes it misbehave.

    Attributes:
        files: content by path.
        requests: each requested path, with the first byte of its range.
        behaviors: by path, an iterator of functions that replace `serve` for the next requests.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files, self.requests, self.behaviors = {}, [], {}
        self.released = threading.Event()

    def address(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        """Ignore errors of connections that a test ends."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self):
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.server.requests.append((self.path, start))
        behave = next(self.server.behaviors.get(self.path, iter(())), serve)
        behave(self, self.server.files.get(self.path, b""), start)
        self.close_connection = True

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *_):
        pass


def serve(answer, content, start):
    """Serve a file from `start`, as a correct server does."""
    if start >= len(content):
        answer.head(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        return
    named = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
    answer.head(206 if start else 200, Content_Length=len(content) - start, **named)
    answer.wfile.write(content[start:])


@pytest.fixture
def web(monkeypatch):
    """A running local web server."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("COLORGAN_OFFLINE", raising=False)
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()
