"""A machine for pickles that cannot run anything: data in, data out.

It never imports or calls what a file names: a global is one of `words.WORDS`,
or the file is refused. Tensors come out as `Tensor` records; their bytes are
read later, and only where wanted.

`pickletools.genops` takes the stream apart; the stack is our own.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

from jaxseg.weights.words import (
  OPAQUE,
  WORDS,
  Forbidden,
  Malformed,
  Opaque,
  Storage,
  Word,
  check_size,
  set_item,
)

_MARK = Opaque()


def _word(name: str) -> Word:
  if name not in WORDS:
    raise Forbidden(".".join(name.split()))
  return WORDS[name]


def _call(function: Any, args: Any) -> Any:
  if not isinstance(function, Word) or function.kind == "dtype":
    raise Malformed("a call of something that is no function")
  if function.kind == "opaque":
    return OPAQUE
  return function.value(*args)


def _extend(container: Any, items: list) -> None:
  if isinstance(container, Opaque):
    return
  if type(container) is not list:
    raise Malformed("an item appended to something that is no list")
  container.extend(items)


class _Machine:
  """One pickle's stack and memo."""

  def __init__(self, persistent: Callable[[Any], Any]):
    self.stack: list[Any] = []
    self.memo: dict[int, Any] = {}
    self.persistent = persistent

  def since_mark(self) -> list[Any]:
    """Takes what lies above the last mark, and the mark."""
    items: list[Any] = []
    while (x := self.stack.pop()) is not _MARK:
      items.append(x)
    return items[::-1]

  def step(self, name: str, arg: Any) -> None:
    """One instruction."""
    stack = self.stack
    match name:
      case "PROTO" | "FRAME":
        pass
      case "MARK":
        stack.append(_MARK)
      case "POP":
        stack.pop()
      case "POP_MARK":
        self.since_mark()
      case "DUP":
        stack.append(stack[-1])
      case "NONE":
        stack.append(None)
      case "NEWTRUE" | "NEWFALSE":
        stack.append(name == "NEWTRUE")
      case "EMPTY_DICT":
        stack.append({})
      case "EMPTY_LIST":
        stack.append([])
      case "EMPTY_SET":
        stack.append(OPAQUE)
      case "EMPTY_TUPLE":
        stack.append(())
      case "TUPLE":
        stack.append(tuple(self.since_mark()))
      case "TUPLE1" | "TUPLE2" | "TUPLE3":
        n = int(name[-1])
        if len(stack) < n:
          raise Malformed("a tuple of more than there is")
        stack[-n:] = [tuple(stack[-n:])]
      case "LIST":
        stack.append(self.since_mark())
      case "DICT":
        self.dictionary({}, self.since_mark(), push=True)
      case "FROZENSET":
        self.since_mark()
        stack.append(OPAQUE)
      case "APPEND":
        item = stack.pop()
        _extend(stack[-1], [item])
      case "APPENDS":
        items = self.since_mark()
        _extend(stack[-1], items)
      case "ADDITEMS":
        self.since_mark()
      case "SETITEM":
        value, key = stack.pop(), stack.pop()
        set_item(stack[-1], key, value)
      case "SETITEMS":
        items = self.since_mark()
        self.dictionary(stack[-1], items)
      case "PUT" | "BINPUT" | "LONG_BINPUT":
        self.memo[arg] = stack[-1]
      case "MEMOIZE":
        self.memo[len(self.memo)] = stack[-1]
      case "GET" | "BINGET" | "LONG_BINGET":
        stack.append(self.memo[arg])
      case "GLOBAL":
        stack.append(_word(arg))
      case "STACK_GLOBAL":
        attribute, module = stack.pop(), stack.pop()
        stack.append(_word(f"{module} {attribute}"))
      case "REDUCE" | "NEWOBJ":
        args, function = stack.pop(), stack.pop()
        stack.append(_call(function, args))
      case "BUILD":  # attributes: an OrderedDict's _metadata, a Namespace's all
        stack.pop()
      case "BINPERSID":
        stack.append(self.persistent(stack.pop()))
      case _ if name in _LITERALS:
        stack.append(arg)
      case "INST" | "OBJ" | "NEWOBJ_EX" | "EXT1" | "EXT2" | "EXT4":
        raise Forbidden(".".join(str(arg or name).split()))
      case _:
        raise Malformed(f"the instruction {name}")

  def dictionary(self, target: Any, items: list, push: bool = False) -> None:
    """Keys and values in turn into a dictionary."""
    if len(items) % 2:
      raise Malformed("a key without a value")
    for key, value in zip(items[::2], items[1::2]):
      set_item(target, key, value)
    if push:
      self.stack.append(target)


_LITERALS = {
  "INT",
  "BININT",
  "BININT1",
  "BININT2",
  "LONG",
  "LONG1",
  "LONG4",
  "FLOAT",
  "BINFLOAT",
  "STRING",
  "BINSTRING",
  "SHORT_BINSTRING",
  "UNICODE",
  "BINUNICODE",
  "SHORT_BINUNICODE",
  "BINUNICODE8",
  "BINBYTES",
  "SHORT_BINBYTES",
  "BINBYTES8",
}


def _no_persistent(_: Any) -> Any:
  raise Malformed("a reference to something outside")


def load(stream: Any, persistent: Callable[[Any], Any] = _no_persistent) -> Any:
  """Reads one pickle from a stream, which is left right behind it.

  Args:
    stream: has read, readline and tell, as an open file or a mmap.
    persistent: what a persistent id (torch: of a storage) stands for.

  Returns:
    plain containers, numbers, strings, `Tensor`s, and `Opaque` for the rest.

  Raises:
    Malformed: no pickle, or not of the kind that torch writes.
    Forbidden: names a global that is not on the list.
  """
  machine = _Machine(persistent)
  try:
    for opcode, arg, _ in pickletools.genops(stream):
      if opcode.name == "STOP":
        break
      machine.step(opcode.name, arg)
    (value,) = machine.stack
  except (Forbidden, Malformed):
    raise
  # The stream is anybody's: what a forged one can raise is not to be counted.
  except Exception as e:
    raise Malformed(f"{type(e).__name__}: {e}") from e
  return value


def storage(pid: Any) -> Storage:
  """The storage that a persistent id of torch names.

  Raises:
    Malformed: it names something else.
  """
  if type(pid) is not tuple or len(pid) < 5 or pid[0] != "storage":
    raise Malformed("a reference to something that is no storage")
  _, dtype, key, _, length = pid[:5]
  view = pid[5] if len(pid) > 5 else None
  if not isinstance(dtype, Word) or dtype.kind != "dtype":
    raise Malformed("a storage without a dtype")
  offset = 0
  if view is not None:
    _, offset, length = view
  for x in (length, offset):
    check_size(x)
  return Storage(str(key), dtype.value, length, offset)
