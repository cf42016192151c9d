// The gradient of a kernel from rows of maps.

#pragma once

#include <utility>

#include "shape.h"

namespace {

// Channels of a tile: times two vectors as many registers as of pixels.
constexpr int kChannels = kLanes == 16 ? 8 : 6;

// Channels of a row of pixels: of the first, and how far it is to the next.
struct Side {
  const float* at;
  int64_t channels, step;

  Side plus(int64_t offset) const { return {at + offset, channels, step}; }
};

// sums[c][v] += x[c] * y[v] over `count` pixels; C channels of x, V vectors of
// y's, which `sums` has all in a row.
template <int C, int V>
void outer(Side x, Side y, int64_t count, float* sums) {
  Vector all[C][V];
  auto at = [&](int c, int v) -> Vector& {
    return *reinterpret_cast<Vector*>(sums + c * y.channels + v * kLanes);
  };
  for (int c = 0; c < C; ++c)
    for (int v = 0; v < V; ++v) all[c][v] = at(c, v);
  const float *a = x.at, *b = y.at;
  for (int64_t p = 0; p < count; ++p, a += x.step, b += y.step) {
    Vector d[V];
    for (int v = 0; v < V; ++v)
      d[v] = *reinterpret_cast<const Vector*>(b + v * kLanes);
    for (int c = 0; c < C; ++c)
      for (int v = 0; v < V; ++v) all[c][v] += a[c] * d[v];
  }
  for (int c = 0; c < C; ++c)
    for (int v = 0; v < V; ++v) at(c, v) = all[c][v];
}

template <int V>
void outers(Side x, Side y, int64_t count, float* sums) {
  constexpr int kMany = kChannels * (V == 1 ? 2 : 1);
  int64_t c = 0;
  for (; c + kMany <= x.channels; c += kMany)
    outer<kMany, V>(x.plus(c), y, count, sums + c * y.channels);
  for (; c + 4 <= x.channels; c += 4)
    outer<4, V>(x.plus(c), y, count, sums + c * y.channels);
  constexpr decltype(&outer<1, V>) rest[] = {outer<1, V>, outer<2, V>,
                                             outer<3, V>};
  if (c < x.channels)
    rest[x.channels - c - 1](x.plus(c), y, count, sums + c * y.channels);
}

// Vectors are of output channels, or of input ones where those fill none.
bool sideways(const Shape& s) { return s.out_c % kLanes != 0; }

// What rows `begin` to `end` of the output add to the gradient of all taps,
// [kh][kw][in][out], or if sideways [kh][kw][out][in].
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
      int64_t wide = sideways(s) ? s.c : s.out_c;
      for_blocks(wide, [&](int64_t at, int64_t width) {
        auto form = width == kLanes ? outers<1> : outers<2>;
        float* to = sums + (i * s.kw + j) * s.c * s.out_c + at;
        for (int64_t r = begin; r < end; ++r) {
          int64_t y = r % s.out_h * s.stride[0] + i * s.dilation[0] - s.pad[0];
          if (y < 0 || y >= s.h) continue;
          int64_t pixel = (r / s.out_h * s.h + y) * s.w;
          Side in = {x + (pixel + low * s.stride[1] + shift) * s.c, s.c,
                     s.stride[1] * s.c};
          Side out = {dy + (r * s.out_w + low) * s.out_c, s.out_c, s.out_c};
          if (sideways(s)) std::swap(in, out);
          form(in, out.plus(at), high - low, to);
        }
      });
    }
  }
}

}  // namespace
