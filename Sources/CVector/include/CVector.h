// Loops over plain memory, compiled once for every instruction set that is worth it.
//
// Every instruction set gives the same bits wherever a result is defined exactly (conversions, weighted sums,
// distances); elsewhere the last bits differ, because only some sets fuse a product with a sum.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// The floating point formats in memory.
enum ElementFormat { FormatFloat64, FormatFloat32, FormatFloat16, FormatBFloat16 };

enum ActivationKind { ActivationSilu, ActivationGelu, ActivationGeluTanh };

// The elements of a panel: how many columns of a product are computed at once.
enum { PanelColumns = 16 };

// sum of weights[i] * inputs[i] over elements of any format.
struct WeightedSum {
  size_t inputCount;
  const void *_Nonnull const *_Nonnull inputs;
  const enum ElementFormat *formats;
  const float *weights;
  void *output;
  enum ElementFormat outputFormat;
};

// Which elements of a change are kept; see ElementSelection in Compute.
enum SelectionKind { SelectionAll, SelectionLargest, SelectionRandom };

struct Selection {
  enum SelectionKind kind;
  // Of the largest the least magnitude, of random ones what their numbers are below.
  uint32_t threshold;
  // Of the largest the last element that is kept of those with the least magnitude.
  uint64_t last;
  // Of random ones.
  uint32_t key[2];
};

// One digit of the numbers that order elements; see SortDigit in Compute.
struct Digit {
  bool isOfNumber;
  uint32_t shift;
  uint32_t prefixShift;
  uint32_t prefix;
  // The number of digits less 1.
  uint32_t mask;
};

// base + factors[s] * sum of the changes that agree with the sign of the sum of all, s being their set.
struct AgreeingSum {
  size_t changeCount;
  // changeCount rows, `stride` floats apart.
  const float *changes;
  size_t stride;
  const void *base;
  enum ElementFormat baseFormat;
  const float *factors;
  void *output;
  enum ElementFormat outputFormat;
};

// The scores of one head over one text, scale * queries * keys^T, and which of them count.
struct AttentionPattern {
  // [tokens, dimension] each; the strides count the elements from one token to the next.
  const float *queries;
  const float *keys;
  size_t queryStride;
  size_t keyStride;
  size_t tokens;
  size_t dimension;
  float scale;
  bool causal;
  // How many tokens a token sees back, itself included; 0 for all.
  size_t window;
  // Bounds the products: cap * tanh(product / cap); 0 for none.
  float softCap;
};

// One head of one text: softmax(scores) * values, row by row.
struct AttentionHead {
  struct AttentionPattern pattern;
  // As far apart as keys and queries are.
  const float *values;
  float *output;
};

// The divergences of the patterns of one key head over one text from those that are wanted; see ComputeBackend.
struct AttentionDivergence {
  // Of the first of the query heads; the others follow it. What is not where the states are is the same in both.
  struct AttentionPattern pattern;
  struct AttentionPattern wanted;
  // How many query heads share the key head.
  size_t queryHeads;
  // [tokens, queryHeads] each, the elements from one token to the next counted by the stride.
  const float *normalisers;
  const float *wantedNormalisers;
  float *divergences;
  size_t normaliserStride;
  // As far apart as queries and keys are.
  float *queryGradient;
  float *keyGradient;
};

// The loops of one instruction set. Counts are elements; memory need not be aligned beyond its elements.
struct VectorLoops {
  const char *name;
  // The rows of a product that are computed at once.
  size_t tileRows;

  // Element by element to float32, exactly; float64 is rounded to nearest, ties to even.
  void (*widen)(const void *source, enum ElementFormat format, float *destination, size_t count);
  // Element by element, rounded once to nearest, ties to even.
  void (*convert)(
      const void *source, enum ElementFormat sourceFormat, void *destination, enum ElementFormat destinationFormat,
      size_t count);
  // Elements first to first + count. Adds to nonFinite[i] the infinities and NaNs of input i, then of the output.
  void (*weightedSum)(const struct WeightedSum *sum, size_t first, size_t count, uint64_t *nonFinite);

  // out = factor * (x - base) of the elements that are kept, 0 of the others; `first` is the first element's number.
  void (*sparseChange)(
      const void *x, enum ElementFormat xFormat, const void *base, enum ElementFormat baseFormat,
      const struct Selection *selection, uint64_t first, float factor, float *out, size_t count);
  // counts[digit] += 1 for every element that has the prefix.
  void (*countDigits)(const float *values, uint64_t first, const struct Digit *digit, uint32_t *counts, size_t count);
  // The sums of x^2, y^2, xy, |x| and |y|, sixteen of each added up as the contract says.
  void (*moments)(
      const void *x, enum ElementFormat xFormat, const void *y, enum ElementFormat yFormat, size_t count, float *sums);
  // Elements first to first + count. Adds to nonFinite[i] the infinities and NaNs of change i, then of base and output.
  void (*sumAgreeing)(const struct AgreeingSum *sum, size_t first, size_t count, uint64_t *nonFinite);

  // rows x depth elements, a row every rowStride elements, to panels [rows / PanelColumns][depth][PanelColumns];
  // missing rows of the last panel are zero.
  void (*packPanels)(
      const void *source, enum ElementFormat format, size_t rowStride, size_t rows, size_t depth, float *panels);
  // rows x depth floats to tiles [rows / tileRows][depth][tileRows]; missing rows of the last tile are zero.
  void (*packTiles)(const float *source, size_t rowStride, size_t rows, size_t depth, float *tiles);
  // out[rows, columns] += tiles * panels; tiles and panels lie the given distances apart.
  void (*multiplyPacked)(
      const float *tiles, size_t tileStride, const float *panels, size_t rows, size_t columns, size_t depth, float *out,
      size_t outStride);

  // The number of floats of scratch that attention needs for a text.
  size_t (*attentionScratch)(size_t tokens, size_t dimension);
  void (*attention)(const struct AttentionHead *head, float *scratch);
  // The logarithm of the sum of a query's exponentials, `stride` elements from one token to the next; scratch as above.
  void (*attentionNormalisers)(const struct AttentionPattern *pattern, float *out, size_t stride, float *scratch);
  // The number of floats of scratch that a divergence needs for a text.
  size_t (*divergenceScratch)(size_t tokens, size_t dimension);
  void (*attentionDivergence)(const struct AttentionDivergence *divergence, float *scratch);

  // sum += addend
  void (*add)(const float *addend, float *sum, size_t count);
  // out = x / sqrt(mean(x^2) + epsilon) * gain
  void (*rmsNorm)(const float *x, const float *gain, float epsilon, float *out, size_t count);
  // out = (x - mean) / sqrt(variance + epsilon) * gain + bias; without a bias it is null
  void (*layerNorm)(
      const float *x, const float *gain, const float *_Nullable bias, float epsilon, float *out, size_t count);
  // out = activation(x) * up; without a factor `up` is null
  void (*activate)(
      enum ActivationKind activation, const float *x, const float *_Nullable up, float *out, size_t count);
  // gateGradient = gradient * up * activation'(gate), upGradient = gradient * activation(gate)
  void (*activationGradient)(
      enum ActivationKind activation, const float *gate, const float *up, const float *gradient, float *gateGradient,
      float *upGradient, size_t count);
  // Turns the gradient of rmsNorm(x) into that of x.
  void (*rmsNormGradient)(const float *x, const float *gain, float epsilon, float *gradient, size_t count);
  // Turns the pairs (states[i], states[i + pairs]) by the angles whose cosines and sines are given.
  void (*rotate)(float *states, const float *cosines, const float *sines, size_t pairs);
  // sum[i] += x[i]
  void (*addToDoubles)(const float *x, double *sum, size_t count);
  // The sum of (x[i] - y[i])^2, accumulated in double precision.
  double (*squaredDistance)(const float *x, const float *y, size_t count);
  // Takes the logits of the entries from firstEntry on into a token's score: score[0] the largest logit so far, score[1]
  // the sum of exp(logit - largest), score[2] the target's logit; best is the first entry with the largest.
  void (*accumulateTokenScore)(
      const float *logits, size_t count, size_t firstEntry, int32_t target, float *score, int32_t *best);
};

// The loops that this processor can run, best first: at least one. Index 0 is the best.
const struct VectorLoops *_Nullable VectorLoopsAt(size_t index);

// The number of cores that this process may use.
size_t AvailableCores(void);

#pragma clang assume_nonnull end
