// Work for the threads of XLA.

#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "xla/ffi/api/ffi.h"

namespace {

constexpr int64_t kShares = 64;  // of the work, at most; one for each thread

// Calls f(0) ... f(items - 1), on this thread and on those of the pool that
// have time. A core begins with the same share every time, unless another does
// that already: what it reads of the maps is then mostly what it wrote itself,
// and cores may be far from one another. Then it helps with the others'. It
// never waits for a task that has not begun: all threads of the pool may be in
// here.
template <class F>
void parallel(xla::ffi::ThreadPool& pool, int64_t items, const F& f) {
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    std::atomic<bool> begun{false};
  };
  struct State {
    int64_t count;
    std::atomic<int64_t> busy{0};
    Share shares[kShares];
  };
  auto state = std::make_shared<State>();
  state->count = std::clamp<int64_t>(pool.num_threads(), 1, kShares);
  for (int64_t i = 0; i < state->count; ++i)
    state->shares[i].next = items * i / state->count;
  auto work = [state, items, &f] {  // f is gone once no item is left
    int64_t core = std::max(0, sched_getcpu()), count = state->count;
    for (int64_t turn = 0; turn < 2 * count; ++turn) {
      int64_t at = (core + turn) % count, end = items * (at + 1) / count;
      Share& share = state->shares[at];
      if (turn < count && share.begun.exchange(true)) continue;
      for (int64_t i; (i = share.next.fetch_add(1)) < end;) f(i);
    }
  };
  int64_t helpers = std::min(pool.num_threads(), items) - 1;
  for (int64_t i = 0; i < helpers; ++i) {
    pool.Schedule([state, work] {
      state->busy.fetch_add(1);
      work();
      state->busy.fetch_sub(1);
    });
  }
  work();
  while (state->busy.load() > 0) std::this_thread::yield();
}

}  // namespace
