// All loops, for the instruction set that the including file chose. It defines
//   LOOPS                  the name of the table,
//   INSTRUCTION_SET        the name of the instruction set,
//   TILE_ROWS              how many rows of sums its registers hold,
//   HAS_HALF_CONVERSION    1 where instructions convert half precision numbers.

#include "VectorTypes.h"
#include "Conversion.h"
#include "WeightedSum.h"
#include "Changes.h"
#include "Exponential.h"
#include "Elementwise.h"
#include "Distance.h"
#include "MatrixProduct.h"
#include "Attention.h"
#include "AttentionDivergence.h"
#include "TokenScores.h"

const struct VectorLoops LOOPS = {
    .name = INSTRUCTION_SET,
    .tileRows = TILE_ROWS,
    .widen = widen,
    .convert = convert,
    .weightedSum = weightedSum,
    .sparseChange = sparseChange,
    .countDigits = countDigits,
    .moments = moments,
    .sumAgreeing = sumAgreeing,
    .packPanels = packPanels,
    .packTiles = packTiles,
    .multiplyPacked = multiplyPacked,
    .attentionScratch = attentionScratch,
    .attention = attention,
    .attentionNormalisers = attentionNormalisers,
    .divergenceScratch = divergenceScratch,
    .attentionDivergence = attentionDivergence,
    .add = add,
    .rmsNorm = rmsNorm,
    .layerNorm = layerNorm,
    .activate = activate,
    .activationGradient = activationGradient,
    .rmsNormGradient = rmsNormGradient,
    .rotate = rotate,
    .addToDoubles = addToDoubles,
    .squaredDistance = squaredDistance,
    .accumulateTokenScore = accumulateTokenScore,
};
