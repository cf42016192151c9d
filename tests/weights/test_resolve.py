"""From a name to a file: cache, package, download, and what can go wrong."""

import hashlib
import http.server
import io
import socket
import sys
import threading

import numpy as np
import pytest
from rich.console import Console

from jaxseg.types import UserError
from jaxseg.weights import families, resolve, store
from jaxseg.weights.published import Origin
from tests.weights import torch_bytes as tb

ARRAYS = {"conv1.weight": np.ones((4, 3, 7, 7), np.float32)}


@pytest.fixture
def checkpoint(tmp_path):
  """A published file, and its hash."""
  path = tb.save(tmp_path / "origin.pth", ARRAYS)
  return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def publish(monkeypatch):
  """fn(**fields of Origin): the weights 'toy'."""

  def add(**fields):
    origin = Origin(
      "torchvision", "resnet18", "toynet", licence="MIT", **fields
    )
    monkeypatch.setitem(resolve.PUBLISHED, "toy", (origin,))
    return origin

  return add


@pytest.fixture
def server(monkeypatch):
  """fn(content, length=None) -> address; `length` is what the header says."""
  monkeypatch.setenv("no_proxy", "*")
  running = []

  def serve(content, length=None, status=200):
    class Handler(http.server.BaseHTTPRequestHandler):
      asked = 0

      def do_GET(self):
        Handler.asked += 1
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

      def log_message(self, *args):
        pass

    daemon = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=daemon.serve_forever, args=(0.01,))
    thread.start()
    running.append((daemon, thread))
    return f"http://127.0.0.1:{daemon.server_port}/models/toy-1234.pth", Handler

  yield serve
  for daemon, thread in running:
    daemon.shutdown()
    thread.join()
    daemon.server_close()


def check(path):
  arrays, record = store.read(path)
  assert set(arrays) == {"params/encoder/stem/conv/kernel"}
  assert record.network == "toynet"
  return record


def check_refused(name, cache, match):
  with pytest.raises(UserError, match=match) as e:
    resolve.resolve(name, cache=cache)
  assert "\n" not in str(e.value)
  return str(e.value)


def test_a_path(tmp_path, checkpoint):
  path = tmp_path / "a.safetensors"
  store.write(path, {"params/w": np.ones(1)}, store.Record())
  assert resolve.resolve(path) == path
  assert resolve.resolve(str(path)) == path
  check_refused(checkpoint[0], tmp_path, r"jaxseg.weights.convert --from")
  check_refused(str(tmp_path / "b.safetensors"), tmp_path, "are not there")
  check_refused("resnet50.pth", tmp_path, "are not there")


def test_the_cache_by_environment(tmp_path, monkeypatch):
  path = tmp_path / "mine.safetensors"
  store.write(path, {"params/w": np.ones(1)}, store.Record())
  monkeypatch.setenv("JAXSEG_WEIGHTS", str(tmp_path))
  assert resolve.resolve("mine") == path
  monkeypatch.delenv("JAXSEG_WEIGHTS")
  monkeypatch.setenv("HOME", str(tmp_path))
  assert resolve.cache_dir() == tmp_path / ".cache" / "jaxseg" / "weights"


def test_unknown_names(tmp_path):
  text = check_refused("resnet5O", tmp_path, "did you mean .*resnet50")
  assert str(tmp_path) in text
  check_refused("zzz", tmp_path, r"known are .*efficientnet_lite0.*resnet18")


def test_a_damaged_file_of_ones_own(tmp_path):
  (tmp_path / "mine.safetensors").write_bytes(b"12345678{}")
  check_refused("mine", tmp_path, r"mine.safetensors cannot be read")


def package(tmp_path, monkeypatch, content):
  """An installed package; importing it would fail."""
  folder = tmp_path / "site" / "toy_weights" / "models"
  folder.mkdir(parents=True)
  (folder.parent / "__init__.py").write_text("raise SystemExit(3)\n")
  (folder / "toy.pth").write_bytes(content)
  monkeypatch.syspath_prepend(str(tmp_path / "site"))
  return folder / "toy.pth"


def test_a_package(tmp_path, monkeypatch, checkpoint, publish):
  path, sha256 = checkpoint
  inside = package(tmp_path, monkeypatch, path.read_bytes())
  publish(
    sha256=sha256,
    package="toy_weights",
    file="models/toy.pth",
    fields={"padding": "tf"},
  )
  found = resolve.resolve("toy", cache=tmp_path / "cache")
  record = check(found)
  assert found == tmp_path / "cache" / "toy.safetensors"
  assert record.source == "package toy_weights"
  assert (record.licence, record.sha256) == ("MIT", sha256)
  assert record.fields == {"padding": "tf"}
  assert "toy_weights" not in sys.modules
  # Once: afterwards the package is not needed, nor touched.
  before = found.stat().st_mtime_ns
  inside.unlink()
  assert resolve.resolve("toy", cache=tmp_path / "cache") == found
  assert found.stat().st_mtime_ns == before


def test_a_package_with_another_file(
  tmp_path, monkeypatch, checkpoint, publish
):
  path, sha256 = checkpoint
  package(tmp_path, monkeypatch, path.read_bytes() + b"\0")
  other = hashlib.sha256(path.read_bytes() + b"\0").hexdigest()
  publish(sha256=sha256, package="toy_weights", file="models/toy.pth")
  text = check_refused("toy", tmp_path / "cache", "is not the published file")
  assert sha256 in text
  assert other in text
  assert not (tmp_path / "cache").exists()


def test_a_download(tmp_path, checkpoint, publish, server):
  path, sha256 = checkpoint
  url, handler = server(path.read_bytes())
  publish(sha256=sha256[:8], url=url)
  for _ in range(2):
    record = check(resolve.resolve("toy", cache=tmp_path / "cache"))
  assert handler.asked == 1
  assert record.source == url
  assert record.sha256 == sha256
  kept = tmp_path / "cache" / "toy-1234.pth"
  assert kept.read_bytes() == path.read_bytes()
  assert len(list(kept.parent.iterdir())) == 2


def test_the_bar_of_a_download(tmp_path, checkpoint, publish, server):
  path, sha256 = checkpoint
  publish(sha256=sha256, url=server(path.read_bytes())[0])
  screen = io.StringIO()
  console = Console(file=screen, force_terminal=True, width=80)
  resolve.resolve("toy", cache=tmp_path / "cache", console=console)
  assert "toy" in screen.getvalue()
  assert "kB" in screen.getvalue()


@pytest.mark.parametrize("digits", [8, 64])
def test_a_download_with_a_wrong_hash(
  tmp_path, checkpoint, publish, server, digits
):
  path, found = checkpoint
  want = hashlib.sha256(b"other").hexdigest()[:digits]
  url, _ = server(path.read_bytes())
  publish(sha256=want, url=url)
  text = check_refused("toy", tmp_path / "cache", "is not the published file")
  assert text.startswith(url)
  assert want in text
  assert found in text
  assert list((tmp_path / "cache").iterdir()) == []


def offline_advice(text, url, cache):
  """What is said wherever a download fails."""
  assert url in text
  assert f"put it at {cache / 'toy-1234.pth'}" in text
  assert "jaxseg.weights.convert --from=torchvision --model=resnet18" in text
  assert f"CHECKPOINT {cache / 'toy.safetensors'}" in text
  assert not cache.exists() or list(cache.iterdir()) == []


def test_a_download_that_breaks_off(tmp_path, checkpoint, publish, server):
  path, sha256 = checkpoint
  content = path.read_bytes()
  url, _ = server(content[:-9], length=len(content))
  publish(sha256=sha256, url=url)
  text = check_refused("toy", tmp_path / "cache", "bytes")
  offline_advice(text, url, tmp_path / "cache")


def test_a_page_that_is_gone(tmp_path, checkpoint, publish, server):
  url, _ = server(b"gone", status=404)
  publish(sha256=checkpoint[1], url=url)
  text = check_refused("toy", tmp_path / "cache", "404")
  offline_advice(text, url, tmp_path / "cache")


def test_no_network(tmp_path, checkpoint, publish, monkeypatch):
  """Nobody listens at a port that was just given back."""
  monkeypatch.setenv("no_proxy", "*")
  with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
  url = f"http://127.0.0.1:{port}/toy-1234.pth"
  publish(sha256=checkpoint[1], url=url)
  text = check_refused("toy", tmp_path / "cache", "refused")
  offline_advice(text, url, tmp_path / "cache")


def test_the_probe_goes_to_the_proxy(monkeypatch):
  asked = []

  def connect(address, timeout):
    asked.append((*address, timeout))
    raise OSError("no")

  monkeypatch.setattr(resolve.socket, "create_connection", connect)
  monkeypatch.setenv("no_proxy", "")
  for proxy in ("http://proxy.test:3128", "proxy.test:3128"):
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(OSError, match="no"):
      resolve._probe("https://weights.test/a.pth")
  monkeypatch.delenv("https_proxy")
  with pytest.raises(OSError, match="no"):
    resolve._probe("https://weights.test/a.pth")
  assert asked == [
    ("proxy.test", 3128, 5.0),
    ("proxy.test", 3128, 5.0),
    ("weights.test", 443, 5.0),
  ]


def test_a_file_put_into_the_cache_by_hand(tmp_path, checkpoint, publish):
  path, sha256 = checkpoint
  publish(sha256=sha256[:8], url="https://nowhere.test/toy-1234.pth")
  cache = tmp_path / "cache"
  cache.mkdir()
  (cache / "toy-1234.pth").write_bytes(path.read_bytes())
  check(resolve.resolve("toy", cache=cache))
  (cache / "toy.safetensors").unlink()
  (cache / "toy-1234.pth").write_bytes(path.read_bytes()[:-1])
  check_refused("toy", cache, r"toy-1234.pth has the SHA-256")


def test_a_damaged_cache_is_made_again(tmp_path, checkpoint, publish, server):
  path, sha256 = checkpoint
  url, handler = server(path.read_bytes())
  publish(sha256=sha256, url=url)
  found = resolve.resolve("toy", cache=tmp_path)
  raw = bytearray(found.read_bytes())
  raw[-1] ^= 1
  found.write_bytes(raw)
  screen = io.StringIO()
  check(resolve.resolve("toy", cache=tmp_path, console=Console(file=screen)))
  assert "is damaged" in screen.getvalue()
  assert handler.asked == 1  # the checkpoint was still there


def test_other_rules_make_the_cache_again(
  tmp_path, checkpoint, publish, server, monkeypatch
):
  path, sha256 = checkpoint
  publish(sha256=sha256, url=server(path.read_bytes())[0])
  found = resolve.resolve("toy", cache=tmp_path)
  rules = families.find("torchvision", "resnet18").rules
  new = tuple(
    r._replace(target=r.target.replace("/stem/", "/root/")) for r in rules
  )
  monkeypatch.setattr(
    families, "find", lambda *_: families.Found(new, "imagenet", {})
  )
  arrays, _ = store.read(resolve.resolve("toy", cache=tmp_path))
  assert set(arrays) == {"params/encoder/root/conv/kernel"}
  # Without the checkpoint the file stays as it is.
  monkeypatch.undo()
  monkeypatch.setitem(
    resolve.PUBLISHED,
    "toy",
    (
      Origin(
        "torchvision",
        "resnet18",
        "toynet",
        sha256=sha256,
        licence="",
        url="https://nowhere.test/other.pth",
      ),
    ),
  )
  assert resolve.resolve("toy", cache=tmp_path) == found
