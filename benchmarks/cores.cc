// How far two cores are from one another; see cores.py.

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace {

bool pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return !pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

}  // namespace

// Nanoseconds that a word takes from one core to the other and back, the mean
// of so many times; below zero where a thread may not be on such a core.
extern "C" double word_ns(int one, int other, int times) {
  alignas(128) std::atomic<int> word{0};
  std::atomic<bool> bad{false};
  double ns = -1;
  std::thread second([&] {
    if (!pin(other)) bad = true;
    word = 1;  // ready
    for (int i = 0; i < times; ++i) {
      while (word.load(std::memory_order_acquire) != 2 * i + 2) {
      }
      word.store(2 * i + 3, std::memory_order_release);
    }
  });
  std::thread first([&] {
    if (!pin(one)) bad = true;
    while (word.load(std::memory_order_acquire) != 1) {
    }
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) {
      word.store(2 * i + 2, std::memory_order_release);
      while (word.load(std::memory_order_acquire) != 2 * i + 3) {
      }
    }
    auto end = std::chrono::steady_clock::now();
    ns = std::chrono::duration<double, std::nano>(end - begin).count() / times;
  });
  first.join();
  second.join();
  return bad ? -1 : ns;
}
