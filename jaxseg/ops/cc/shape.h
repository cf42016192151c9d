// Shapes of a convolution, and vectors of its channels.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

#ifdef __AVX512F__
constexpr int kLanes = 16;     // float32 numbers in a vector
constexpr int kPixels = 12;    // of a tile: 24 of 32 registers with two vectors
#else
constexpr int kLanes = 8;
constexpr int kPixels = 6;     // 12 of 16 registers
#endif

typedef float Vector __attribute__((vector_size(kLanes * 4), aligned(4)));

struct Shape {
  int64_t b, h, w, c;          // input
  int64_t out_h, out_w, out_c;  // output
  int64_t kh, kw;
  int64_t stride[2], dilation[2], pad[2];  // pad: zeros above, and to the left
};

// Whole vectors that hold so many channels.
int64_t filled(int64_t channels) {
  return (channels + kLanes - 1) / kLanes * kLanes;
}

// Channels go in pairs of vectors; the last block may be smaller.
template <class F>
void for_blocks(int64_t channels, const F& f) {
  for (int64_t at = 0; at < channels; at += 2 * kLanes)
    f(at, std::min<int64_t>(channels - at, 2 * kLanes));
}

// (taps, rows, columns) as (taps, columns, rows).
std::vector<float> turned(int64_t taps, int64_t rows, int64_t columns,
                          const float* from) {
  std::vector<float> all(taps * rows * columns);
  float* to = all.data();
  for (int64_t tap = 0; tap < taps; ++tap, from += rows * columns)
    for (int64_t column = 0; column < columns; ++column)
      for (int64_t row = 0; row < rows; ++row)
        *to++ = from[row * columns + column];
  return all;
}

}  // namespace
