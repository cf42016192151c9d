// A tile of outputs of a convolution, from a row's pixels and a kernel.

#pragma once

#include <cstring>

#include "shape.h"

namespace {

constexpr int kAlone = kLanes == 16 ? 16 : 12;  // pixels, with one vector
constexpr int kFewer = kPixels * 2 / 3;  // pixels, where more fill no row
constexpr int64_t kDots = 4;  // output channels that each take their own sum

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

// It, to a number or a vector of them.
template <class T>
T finished(T y, T mean, T gain, T bias, T low, T high) {
  y = (y - mean) * gain + bias;
  y = y < low ? low : y;
  return y > high ? high : y;
}

// Whether vectors are of input channels, which are added up in the end.
bool dotted(const Shape& s) { return s.out_c <= kDots && s.c % kLanes == 0; }

// One tile. rows: for each tap row from `top` to `bottom` what the first pixel
// reads at the first tap; count, width: pixels and channels that are written.
// C: input channels if they are known and the stride is one, or 0; constant
// distances from pixel to pixel take no registers.
template <int P, int V, int C>
void tile(const Shape& s, const float* const* rows, int64_t top, int64_t bottom,
          const float* kernel, const Finish& finish, float* y, int64_t count,
          int64_t width) {
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
      for (int p = 0; p < P; ++p)
        sums[p][v] = finished(sums[p][v], mean, gain, bias, low, high);
    }
  }
  for (int64_t p = 0; p < count; ++p, y += s.out_c) {
    if (width < V * kLanes) {
      std::memcpy(y, sums[p], width * sizeof(float));
      continue;
    }
    for (int v = 0; v < V; ++v)
      *reinterpret_cast<Vector*>(y + v * kLanes) = sums[p][v];
  }
}

float total(Vector v) {
  typedef float Four __attribute__((vector_size(16)));
  Four parts[kLanes / 4];
  std::memcpy(parts, &v, sizeof v);
  Four all = parts[0];
  for (int i = 1; i < kLanes / 4; ++i) all += parts[i];
  return (all[0] + all[2]) + (all[1] + all[3]);
}

// One tile of all O output channels, with a kernel [kh][kw][out][in].
template <int P, int O>
void dots(const Shape& s, const float* const* rows, int64_t top, int64_t bottom,
          const float* kernel, const Finish& finish, float* y, int64_t count,
          int64_t) {
  Vector sums[P][O] = {};
  const int64_t step = s.stride[1] * s.c;
  for (int64_t i = top; i < bottom; ++i) {
    for (int64_t j = 0; j < s.kw; ++j) {
      const float* tap = rows[i] + j * s.dilation[1] * s.c;
      const float* k = kernel + (i * s.kw + j) * s.c * O;
      for (int64_t c = 0; c < s.c; c += kLanes, tap += kLanes, k += kLanes) {
        Vector weights[O];
        for (int o = 0; o < O; ++o)
          weights[o] = *reinterpret_cast<const Vector*>(k + o * s.c);
#pragma GCC unroll 24
        for (int p = 0; p < P; ++p) {
          Vector pixel = *reinterpret_cast<const Vector*>(tap + p * step);
          for (int o = 0; o < O; ++o) sums[p][o] += pixel * weights[o];
        }
      }
    }
  }
  for (int64_t p = 0; p < count; ++p) {
    for (int o = 0; o < O; ++o, ++y) {
      float all = total(sums[p][o]);
      if (finish.mean)
        all = finished(all, finish.mean[o], finish.gain[o], finish.bias[o],
                       finish.low, finish.high);
      *y = all;
    }
  }
}

// A function that computes a tile, of so many pixels.
struct Form {
  int64_t pixels;
  decltype(&dots<1, 1>) tile;
};

// That with more pixels, unless the other leaves less of a row's end empty.
Form better(const Shape& s, Form more, Form fewer) {
  auto padded = [&](int64_t p) { return (s.out_w + p - 1) / p * p; };
  return padded(fewer.pixels) < padded(more.pixels) ? fewer : more;
}

template <int O>
Form dots_of(const Shape& s) {
  constexpr int kMore = 2 * kPixels / O, kLess = kMore / 2;
  return better(s, {kMore, dots<kMore, O>}, {kLess, dots<kLess, O>});
}

template <int P, int V>
Form tile_of(const Shape& s) {
  return {P, s.stride[1] > 1 ? tile<P, V, 0>
             : s.c == 16     ? tile<P, V, 16>
             : s.c == 32     ? tile<P, V, 32>
                             : tile<P, V, 0>};
}

// For blocks of one vector of output channels, or of two.
Form form_of(const Shape& s, int64_t vectors) {
  if (dotted(s)) {
    constexpr decltype(&dots_of<1>) of[] = {dots_of<1>, dots_of<2>, dots_of<3>,
                                            dots_of<4>};
    return of[s.out_c - 1](s);
  }
  if (vectors == 1)
    return better(s, tile_of<kAlone, 1>(s), tile_of<kFewer, 1>(s));
  return better(s, tile_of<kPixels, 2>(s), tile_of<kFewer, 2>(s));
}

}  // namespace
