// sum += addend, element by element.
KERNEL add(MATRIX(const float, addend), MATRIX(float, sum), ulong count) {
  GLOBAL const float *terms = ELEMENTS(addend);
  GLOBAL float *sums = ELEMENTS(sum);
  for (ulong index = FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) sums[index] += terms[index];
}
