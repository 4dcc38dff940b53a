// Normalisation of rows [rows, width] by a group each; sums in twice the precision of a float. The output may be the input.

// out = x / sqrt(mean(x^2) + epsilon) * gain
KERNEL rmsNorm(
    MATRIX(const float, x), MATRIX(const void, gain), uint gainFormat, MATRIX(void, out), uint outFormat, ulong width,
    float epsilon) {
  LOCAL Pair parts[GROUP_SIZE];
  GLOBAL const float *values = ELEMENTS(x) + GROUP * width;
  Pair squares = pair(0.0f, 0.0f);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    squares = addPairs(squares, exactProduct(values[column], values[column]));
  }
  squares = groupSum(squares, parts);
  float scale = inverseRoot(quotient(pairValue(squares), (float)width) + epsilon);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    float result = values[column] * scale * element(gainMemory, gainFormat, gainStart + column);
    setElement(outMemory, outFormat, outStart + GROUP * width + column, result);
  }
}

// gradient = scale * gain * gradient - x * scale^3 * mean(gain * gradient * x), with the scale of rmsNorm.
KERNEL rmsNormGradient(
    MATRIX(const float, x), MATRIX(const void, gain), uint gainFormat, MATRIX(float, gradient), ulong width,
    float epsilon) {
  LOCAL Pair parts[GROUP_SIZE];
  GLOBAL const float *values = ELEMENTS(x) + GROUP * width;
  GLOBAL float *results = ELEMENTS(gradient) + GROUP * width;
  Pair squares = pair(0.0f, 0.0f);
  Pair products = pair(0.0f, 0.0f);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    float scaled = results[column] * element(gainMemory, gainFormat, gainStart + column);
    squares = addPairs(squares, exactProduct(values[column], values[column]));
    products = addPairs(products, exactProduct(scaled, values[column]));
  }
  squares = groupSum(squares, parts);
  products = groupSum(products, parts);
  float scale = inverseRoot(quotient(pairValue(squares), (float)width) + epsilon);
  float share = quotient(pairValue(products), (float)width) * scale * scale;
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    float scaled = results[column] * element(gainMemory, gainFormat, gainStart + column);
    results[column] = scale * fma(-share, values[column], scaled);
  }
}

// out = (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * gain + bias
KERNEL layerNorm(
    MATRIX(const float, x), MATRIX(const void, gain), uint gainFormat, MATRIX(const void, bias), uint biasFormat,
    uint hasBias, MATRIX(float, out), ulong width, float epsilon) {
  LOCAL Pair parts[GROUP_SIZE];
  GLOBAL const float *values = ELEMENTS(x) + GROUP * width;
  GLOBAL float *results = ELEMENTS(out) + GROUP * width;
  Pair sum = pair(0.0f, 0.0f);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) sum = addToPair(sum, values[column]);
  sum = groupSum(sum, parts);
  // The mean as a pair: next to a large mean, values that differ little keep their digits.
  float high = quotient(pairValue(sum), (float)width);
  Pair product = exactProduct(high, (float)width);
  float low = ((sum.high - product.high) + (sum.low - product.low)) / (float)width;
  Pair squares = pair(0.0f, 0.0f);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    float difference = (values[column] - high) - low;
    squares = addPairs(squares, exactProduct(difference, difference));
  }
  squares = groupSum(squares, parts);
  float scale = inverseRoot(quotient(pairValue(squares), (float)width) + epsilon);
  for (ulong column = ITEM; column < width; column += GROUP_SIZE) {
    float normalised = ((values[column] - high) - low) * scale;
    float gainOfColumn = element(gainMemory, gainFormat, gainStart + column);
    float offset = hasBias ? element(biasMemory, biasFormat, biasStart + column) : 0.0f;
    results[column] = fma(normalised, gainOfColumn, offset);
  }
}
