// Convolution and its weight gradient without copies of pixels; see direct.py.
//
// A tile of pixels in a row of the output, times one or two vectors of output
// channels, stays in registers while taps and input channels go by (tiles.h).
// With up to four output channels vectors are of input channels instead. Only
// tiles that read beyond the picture have what they read copied, with zeros
// around. The last vector of channels may be filled up with zeros, which are
// not written. Sums are in the same order whatever the number of threads.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "parallel.h"
#include "shape.h"
#include "tiles.h"
#include "weights.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// The weight gradient is summed in so many parts, fewer if they held more than
// so many numbers, over so many numbers of the maps at a time.
constexpr int64_t kParts = 16, kSums = 1 << 23, kCached = 1 << 16;
constexpr int64_t kPacked = 512;  // rows of a kernel that are packed at a time

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

// (kh, kw, in, out) as [block of out][kh][kw][in][vectors of the block].
std::vector<float> packed(ffi::ThreadPool& pool, const Shape& s,
                          const float* kernel) {
  int64_t taps = s.kh * s.kw * s.c;
  std::vector<float> all(taps * filled(s.out_c));
  auto rows = [&](int64_t item) {
    int64_t end = std::min(taps, (item + 1) * kPacked);
    for_blocks(s.out_c, [&](int64_t at, int64_t width) {
      int64_t step = filled(width);
      float* to = all.data() + taps * at + item * kPacked * step;
      for (int64_t i = item * kPacked; i < end; ++i, to += step)
        std::memcpy(to, kernel + i * s.out_c + at, width * sizeof(float));
    });
  };
  parallel(pool, (taps + kPacked - 1) / kPacked, rows);
  return all;
}

// One row of the output, one block of its channels. x: the picture; y: the
// row, at the block, of that width; patch: room for what a tile at an edge
// reads.
void row(const Shape& s, Form form, const float* x, const float* kernel,
         const Finish& finish, float* y, int64_t width, int64_t at_row,
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
  int64_t span =
      (form.pixels - 1) * s.stride[1] + (s.kw - 1) * s.dilation[1] + 1;
  int64_t count = std::min(form.pixels, s.out_w);
  for (int64_t next = 0; next < s.out_w; next += form.pixels) {
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
    form.tile(s, rows.data(), top, bottom, kernel, finish, y + at * s.out_c,
              count, width);
  }
}

void run(ffi::ThreadPool& pool, const Shape& s, Maps x, Maps kernel,
         const Finish& finish, Maps y) {
  std::vector<float> copy;  // a kernel of one whole block is packed as it is
  if (dotted(s))
    copy = turned(s.kh * s.kw, s.c, s.out_c, kernel.typed_data());
  else if (s.out_c > 2 * kLanes || s.out_c % kLanes)
    copy = packed(pool, s, kernel.typed_data());
  const float* weights = copy.empty() ? kernel.typed_data() : copy.data();
  const float* from = x.typed_data();
  float* to = y.typed_data();
  Form one = form_of(s, 1), two = form_of(s, 2);
  int64_t rows = s.b * s.out_h;
  int64_t threads = std::max<int64_t>(1, pool.num_threads());  // 0: no pool
  int64_t chunk = std::max<int64_t>(1, rows / (8 * threads));
  parallel(pool, (rows + chunk - 1) / chunk, [&](int64_t item) {
    std::vector<float> patch;
    std::vector<const float*> taps(s.kh);
    int64_t end = std::min(rows, (item + 1) * chunk);
    for_blocks(s.out_c, [&](int64_t at, int64_t width) {
      const float* k = weights + s.kh * s.kw * s.c * at;
      Form form = width <= kLanes ? one : two;
      for (int64_t r = item * chunk; r < end; ++r)
        row(s, form, from + r / s.out_h * s.h * s.w * s.c, k, finish.at(at),
            to + r * s.out_w * s.out_c + at, width, r % s.out_h, patch, taps);
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
  int64_t all = filled(s.out_c);  // whole vectors of them are read
  std::vector<float> copy(3 * all);
  float* to = copy.data();
  for (Maps* from : {&mean, &gain, &bias}) {
    std::copy_n(from->typed_data(), s.out_c, to);
    to += all;
  }
  Finish finish = {copy.data(), copy.data() + all, copy.data() + 2 * all, low,
                   high};
  run(pool, s, x, kernel, finish, *y);
  return ffi::Error::Success();
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
  float* sum = parts.data();
  for (int64_t part = 1; part < count; ++part)
    for (int64_t i = 0; i < size; ++i) sum[i] += parts[part * size + i];
  if (sideways(s)) {
    parts = turned(s.kh * s.kw, s.out_c, s.c, sum);
    sum = parts.data();
  }
  std::copy(sum, sum + size, kernel->typed_data());
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
