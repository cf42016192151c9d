// Convolution and its weight gradient without copies of pixels; see direct.py.
//
// A tile of pixels in a row of the output, times one or two vectors of output
// channels, stays in registers while taps and input channels go by. Only tiles
// that read beyond the picture have what they read copied, with zeros around.
// Sums are in the same order whatever the number of threads.

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

#ifdef __AVX512F__
constexpr int kLanes = 16;     // float32 numbers in a vector
constexpr int kPixels = 12;    // of a tile: 24 of 32 registers with two vectors
constexpr int kAlone = 16;     // with one vector
constexpr int kChannels = 8;   // of a tile of the weight gradient, likewise
#else
constexpr int kLanes = 8;
constexpr int kPixels = 6;     // 12 of 16 registers
constexpr int kAlone = 12;
constexpr int kChannels = 6;
#endif
constexpr int kFewer = kPixels * 2 / 3;  // pixels, where more fill no row
// The weight gradient is summed in so many parts, fewer if they held more than
// so many numbers, over so many numbers of the maps at a time.
constexpr int64_t kParts = 16, kSums = 1 << 23, kCached = 1 << 16;
constexpr int64_t kPacked = 512;  // rows of a kernel that are packed at a time
constexpr int64_t kShares = 64;  // of the work, at most; one for each thread

typedef float Vector __attribute__((vector_size(kLanes * 4), aligned(4)));

struct Shape {
  int64_t b, h, w, c;          // input
  int64_t out_h, out_w, out_c;  // output
  int64_t kh, kw;
  int64_t stride[2], dilation[2], pad[2];  // pad: zeros above, and to the left
};

// What is done to an output before it is written, (y - mean) * gain + bias
// between low and high; nothing where mean is null. NaN stays what it is.
struct Finish {
  const float *mean = nullptr, *gain = nullptr, *bias = nullptr;  // [out]
  float low = 0, high = 0;

  Finish at(int64_t channel) const {
    if (!mean) return *this;
    return {mean + channel, gain + channel, bias + channel, low, high};
  }
};

using Maps = ffi::Buffer<ffi::F32>;
using Pair = ffi::Span<const int64_t>;

Shape shape_of(ffi::Span<const int64_t> x, ffi::Span<const int64_t> kernel,
               ffi::Span<const int64_t> y, Pair stride, Pair dilation,
               Pair pad) {
  return {x[0],      x[1],
          x[2],      x[3],
          y[1],      y[2],
          y[3],      kernel[0],
          kernel[1], {stride[0], stride[1]},
          {dilation[0], dilation[1]}, {pad[0], pad[1]}};
}

// Calls f(0) ... f(items - 1), on this thread and on those of the pool that
// have time. A core begins with the same share every time, unless another does
// that already: what it reads of the maps is then mostly what it wrote itself,
// and cores may be far from one another. Then it helps with the others'. It
// never waits for a task that has not begun: all threads of the pool may be in
// here.
template <class F>
void parallel(ffi::ThreadPool& pool, int64_t items, const F& f) {
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

// Output channels go in pairs of vectors, and a last single one.
template <class F>
void for_blocks(int64_t channels, const F& f) {
  for (int64_t at = 0; at < channels;) {
    int64_t width = channels - at >= 2 * kLanes ? 2 * kLanes : kLanes;
    f(at, width);
    at += width;
  }
}

// (kh, kw, in, out) as [block of out][kh][kw][in][width of the block].
std::vector<float> packed(ffi::ThreadPool& pool, const Shape& s,
                          const float* kernel) {
  int64_t taps = s.kh * s.kw * s.c;
  std::vector<float> all(taps * s.out_c);
  auto rows = [&](int64_t item) {
    int64_t end = std::min(taps, (item + 1) * kPacked);
    for_blocks(s.out_c, [&](int64_t at, int64_t width) {
      float* to = all.data() + taps * at + item * kPacked * width;
      for (int64_t i = item * kPacked; i < end; ++i, to += width)
        std::memcpy(to, kernel + i * s.out_c + at, width * sizeof(float));
    });
  };
  parallel(pool, (taps + kPacked - 1) / kPacked, rows);
  return all;
}

// One tile. rows: for each tap row from `top` to `bottom` what the first pixel
// reads at the first tap; count: pixels that are written. C: input channels if
// they are known and the stride is one, or 0; constant distances from pixel to
// pixel take no registers.
template <int P, int V, int C>
void tile(const Shape& s, const float* const* rows, int64_t top, int64_t bottom,
          const float* kernel, const Finish& finish, float* y, int64_t count) {
  Vector sums[P][V] = {};
  const int64_t channels = C ? C : s.c;
  const int64_t step = C ? C : s.stride[1] * s.c;  // from pixel to pixel
  for (int64_t i = top; i < bottom; ++i) {
    for (int64_t j = 0; j < s.kw; ++j) {
      const float* tap = rows[i] + j * s.dilation[1] * s.c;
      const float* k = kernel + (i * s.kw + j) * s.c * V * kLanes;
      for (int64_t c = 0; c < channels; ++c, ++tap, k += V * kLanes) {
        Vector weights[V];
        for (int v = 0; v < V; ++v)
          weights[v] = *reinterpret_cast<const Vector*>(k + v * kLanes);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
          for (int v = 0; v < V; ++v) sums[p][v] += tap[p * step] * weights[v];
      }
    }
  }
  if (finish.mean) {
    for (int v = 0; v < V; ++v) {
      auto load = [v](const float* from) {
        return *reinterpret_cast<const Vector*>(from + v * kLanes);
      };
      Vector mean = load(finish.mean), gain = load(finish.gain);
      Vector bias = load(finish.bias);
      Vector low = Vector{} + finish.low, high = Vector{} + finish.high;
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        Vector all = (sums[p][v] - mean) * gain + bias;
        all = all < low ? low : all;
        sums[p][v] = all > high ? high : all;
      }
    }
  }
  for (int64_t p = 0; p < count; ++p)
    for (int v = 0; v < V; ++v)
      *reinterpret_cast<Vector*>(y + p * s.out_c + v * kLanes) = sums[p][v];
}

// One row of the output, one block of its channels. x: the picture; y: the
// row, at the block; patch: room for what a tile at an edge reads.
template <int P, int V>
void row(const Shape& s, const float* x, const float* kernel,
         const Finish& finish, float* y, int64_t at_row,
         std::vector<float>& patch, std::vector<const float*>& rows) {
  int64_t first_row = at_row * s.stride[0] - s.pad[0];
  auto inside = [&](int64_t i) {
    int64_t at = first_row + i * s.dilation[0];
    return 0 <= at && at < s.h;
  };
  int64_t top = 0, bottom = s.kh;
  while (top < s.kh && !inside(top)) ++top;
  while (bottom > top && !inside(bottom - 1)) --bottom;
  // Columns from the first to the last that a tile reads.
  int64_t span = (P - 1) * s.stride[1] + (s.kw - 1) * s.dilation[1] + 1;
  int64_t count = std::min<int64_t>(P, s.out_w);
  for (int64_t next = 0; next < s.out_w; next += P) {
    int64_t at = std::min(next, s.out_w - count);  // the last may overlap
    int64_t left = at * s.stride[1] - s.pad[1];
    bool whole = left >= 0 && left + span <= s.w;
    if (!whole) patch.resize(s.kh * span * s.c);
    for (int64_t i = top; i < bottom; ++i) {
      const float* from = x + (first_row + i * s.dilation[0]) * s.w * s.c;
      if (whole) {
        rows[i] = from + left * s.c;
        continue;
      }
      float* to = patch.data() + i * span * s.c;
      int64_t low = std::clamp<int64_t>(-left, 0, span);
      int64_t high = std::clamp<int64_t>(s.w - left, low, span);
      std::fill(to, to + low * s.c, 0.0f);
      std::copy(from + (left + low) * s.c, from + (left + high) * s.c,
                to + low * s.c);
      std::fill(to + high * s.c, to + span * s.c, 0.0f);
      rows[i] = to;
    }
    auto form = s.stride[1] > 1 ? tile<P, V, 0>
                : s.c == 16     ? tile<P, V, 16>
                : s.c == 32     ? tile<P, V, 32>
                                : tile<P, V, 0>;
    form(s, rows.data(), top, bottom, kernel, finish, y + at * s.out_c, count);
  }
}

void run(ffi::ThreadPool& pool, const Shape& s, Maps x, Maps kernel,
         const Finish& finish, Maps y) {
  std::vector<float> copy;  // a kernel of one block is packed as it is
  if (s.out_c > 2 * kLanes) copy = packed(pool, s, kernel.typed_data());
  const float* weights = copy.empty() ? kernel.typed_data() : copy.data();
  const float* from = x.typed_data();
  float* to = y.typed_data();
  auto padded = [&](int64_t p) { return (s.out_w + p - 1) / p * p; };
  auto one = padded(kFewer) < padded(kAlone) ? row<kFewer, 1> : row<kAlone, 1>;
  auto two =
      padded(kFewer) < padded(kPixels) ? row<kFewer, 2> : row<kPixels, 2>;
  int64_t rows = s.b * s.out_h;
  int64_t threads = std::max<int64_t>(1, pool.num_threads());  // 0: no pool
  int64_t chunk = std::max<int64_t>(1, rows / (8 * threads));
  parallel(pool, (rows + chunk - 1) / chunk, [&](int64_t item) {
    std::vector<float> patch;
    std::vector<const float*> taps(s.kh);
    int64_t end = std::min(rows, (item + 1) * chunk);
    for_blocks(s.out_c, [&](int64_t at, int64_t width) {
      const float* k = weights + s.kh * s.kw * s.c * at;
      auto form = width == kLanes ? one : two;
      for (int64_t r = item * chunk; r < end; ++r)
        form(s, from + r / s.out_h * s.h * s.w * s.c, k, finish.at(at),
             to + r * s.out_w * s.out_c + at, r % s.out_h, patch, taps);
    });
  });
}

ffi::Error convolve(ffi::ThreadPool pool, Maps x, Maps kernel, Pair stride,
                    Pair dilation, Pair pad, ffi::Result<Maps> y) {
  Shape s = shape_of(x.dimensions(), kernel.dimensions(), y->dimensions(),
                     stride, dilation, pad);
  run(pool, s, x, kernel, {}, *y);
  return ffi::Error::Success();
}

ffi::Error convolve_finish(ffi::ThreadPool pool, Maps x, Maps kernel, Maps mean,
                           Maps gain, Maps bias, Pair stride, Pair dilation,
                           Pair pad, float low, float high,
                           ffi::Result<Maps> y) {
  Shape s = shape_of(x.dimensions(), kernel.dimensions(), y->dimensions(),
                     stride, dilation, pad);
  Finish finish = {mean.typed_data(), gain.typed_data(), bias.typed_data(), low,
                   high};
  run(pool, s, x, kernel, finish, *y);
  return ffi::Error::Success();
}

// sums[c][v] += x[c] * dy[v] over `count` pixels; C input channels.
template <int C, int V>
void outer(const float* x, int64_t x_step, const float* dy, int64_t channels,
           int64_t count, float* sums) {
  Vector all[C][V];
  for (int c = 0; c < C; ++c)
    for (int v = 0; v < V; ++v)
      all[c][v] = *reinterpret_cast<Vector*>(sums + c * channels + v * kLanes);
  for (int64_t p = 0; p < count; ++p, x += x_step, dy += channels) {
    Vector d[V];
    for (int v = 0; v < V; ++v)
      d[v] = *reinterpret_cast<const Vector*>(dy + v * kLanes);
    for (int c = 0; c < C; ++c)
      for (int v = 0; v < V; ++v) all[c][v] += x[c] * d[v];
  }
  for (int c = 0; c < C; ++c)
    for (int v = 0; v < V; ++v)
      *reinterpret_cast<Vector*>(sums + c * channels + v * kLanes) = all[c][v];
}

template <int V>
void outers(const Shape& s, const float* x, const float* dy, int64_t count,
            float* sums) {
  constexpr int kMany = kChannels * (V == 1 ? 2 : 1);
  int64_t c = 0, step = s.stride[1] * s.c;
  for (; c + kMany <= s.c; c += kMany)
    outer<kMany, V>(x + c, step, dy, s.out_c, count, sums + c * s.out_c);
  for (; c + 4 <= s.c; c += 4)
    outer<4, V>(x + c, step, dy, s.out_c, count, sums + c * s.out_c);
  constexpr decltype(&outer<1, V>) rest[] = {outer<1, V>, outer<2, V>,
                                             outer<3, V>};
  if (c < s.c)
    rest[s.c - c - 1](x + c, step, dy, s.out_c, count, sums + c * s.out_c);
}

// What rows `begin` to `end` of the output add to the gradient of all taps.
void add_rows(const Shape& s, const float* x, const float* dy, int64_t begin,
              int64_t end, float* sums) {
  for (int64_t i = 0; i < s.kh; ++i) {
    for (int64_t j = 0; j < s.kw; ++j) {
      int64_t shift = j * s.dilation[1] - s.pad[1];
      // Output columns whose input column, column * stride + shift, is there.
      int64_t low = shift < 0 ? (-shift + s.stride[1] - 1) / s.stride[1] : 0;
      int64_t high = shift < s.w ? (s.w - shift - 1) / s.stride[1] + 1 : 0;
      high = std::min(high, s.out_w);
      if (low >= high) continue;
      for_blocks(s.out_c, [&](int64_t at, int64_t width) {
        auto form = width == kLanes ? outers<1> : outers<2>;
        float* to = sums + (i * s.kw + j) * s.c * s.out_c + at;
        for (int64_t r = begin; r < end; ++r) {
          int64_t y = r % s.out_h * s.stride[0] + i * s.dilation[0] - s.pad[0];
          if (y < 0 || y >= s.h) continue;
          int64_t pixel = (r / s.out_h * s.h + y) * s.w;
          form(s, x + (pixel + low * s.stride[1] + shift) * s.c,
               dy + (r * s.out_w + low) * s.out_c + at, high - low, to);
        }
      });
    }
  }
}

ffi::Error weight_gradient(ffi::ThreadPool pool, Maps x, Maps dy, Pair stride,
                           Pair dilation, Pair pad, ffi::Result<Maps> kernel) {
  Shape s = shape_of(x.dimensions(), kernel->dimensions(), dy.dimensions(),
                     stride, dilation, pad);
  int64_t size = kernel->element_count(), rows = s.b * s.out_h;
  int64_t count = std::min({rows, kParts, std::max<int64_t>(1, kSums / size)});
  // Rows at a time, so that they and the sums of a tap stay in the cache.
  int64_t some = std::max<int64_t>(1, kCached / ((s.c + s.out_c) * s.out_w));
  std::vector<float> parts(count * size);
  parallel(pool, count, [&](int64_t item) {
    float* sums = parts.data() + item * size;
    int64_t end = rows * (item + 1) / count;
    for (int64_t r = rows * item / count; r < end; r += some)
      add_rows(s, x.typed_data(), dy.typed_data(), r, std::min(r + some, end),
               sums);
  });
  float* to = kernel->typed_data();
  std::copy(parts.data(), parts.data() + size, to);
  for (int64_t part = 1; part < count; ++part)
    for (int64_t i = 0; i < size; ++i) to[i] += parts[part * size + i];
  return ffi::Error::Success();
}

}  // namespace

#define JAXSEG_HANDLER(name, function)           \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(                 \
      name, function,                            \
      ffi::Ffi::Bind()                           \
          .Ctx<ffi::ThreadPool>()                \
          .Arg<Maps>()                           \
          .Arg<Maps>()                           \
          .Attr<Pair>("stride")                  \
          .Attr<Pair>("dilation")                \
          .Attr<Pair>("pad")                     \
          .Ret<Maps>())

JAXSEG_HANDLER(JaxsegConvolve, convolve);
XLA_FFI_DEFINE_HANDLER_SYMBOL(JaxsegConvolveFinish, convolve_finish,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Maps>()
                                  .Arg<Maps>()
                                  .Arg<Maps>()
                                  .Arg<Maps>()
                                  .Arg<Maps>()
                                  .Attr<Pair>("stride")
                                  .Attr<Pair>("dilation")
                                  .Attr<Pair>("pad")
                                  .Attr<float>("low")
                                  .Attr<float>("high")
                                  .Ret<Maps>());
JAXSEG_HANDLER(JaxsegWeightGradient, weight_gradient);
