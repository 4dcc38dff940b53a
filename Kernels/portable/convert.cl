// destination = source between floating formats, each element rounded once.
//
// Formats are the same for all items: the branches diverge nowhere, and memory decides the time.

// One element by way of a float, or directly where that would round twice.
FUNCTION void convertOne(
    GLOBAL const void *source, uint sourceFormat, ulong from, GLOBAL void *destination, uint destinationFormat,
    ulong to) {
  if (sourceFormat == FLOAT64 && destinationFormat != FLOAT32) {
    ulong bits = ((GLOBAL const ulong *)source)[from];
    uint narrow = destinationFormat == FLOAT16 ? narrowedDouble(bits, 5, 10) : narrowedDouble(bits, 8, 7);
    ((GLOBAL ushort *)destination)[to] = (ushort)narrow;
  } else {
    setElement(destination, destinationFormat, to, element(source, sourceFormat, from));
  }
}

// The first `inEights` elements are taken eight at a time: a multiple of 8, or 0 where the memory is not aligned to 16 bytes.
KERNEL convert(
    MATRIX(const void, source), uint sourceFormat, MATRIX(void, destination), uint destinationFormat, ulong inEights,
    ulong count) {
  for (ulong index = FIRST_ELEMENT * 8; index < inEights; index += ELEMENT_STRIDE * 8) {
    if (sourceFormat == FLOAT64) {
      for (ulong next = index; next < index + 8; next++) {
        convertOne(
            sourceMemory, FLOAT64, sourceStart + next, destinationMemory, destinationFormat, destinationStart + next);
      }
    } else {
      float values[8];
      readEight(sourceMemory, sourceFormat, sourceStart + index, values);
      writeEight(destinationMemory, destinationFormat, destinationStart + index, values);
    }
  }
  for (ulong index = inEights + FIRST_ELEMENT; index < count; index += ELEMENT_STRIDE) {
    convertOne(
        sourceMemory, sourceFormat, sourceStart + index, destinationMemory, destinationFormat,
        destinationStart + index);
  }
}
