#include "Kernels.h"

#include <stddef.h>

// #embed came with C23; the compiler knows it in every C.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const char dialectOpenCL[] = {
#embed "dialect.opencl.h" suffix(, 0)
};
static const char dialectCUDA[] = {
#embed "dialect.cuda.h" suffix(, 0)
};
static const char elements[] = {
#embed "portable/elements.h" suffix(, 0)
};
static const char arithmetic[] = {
#embed "portable/arithmetic.h" suffix(, 0)
};
static const char groups[] = {
#embed "portable/groups.h" suffix(, 0)
};
static const char attentionScores[] = {
#embed "portable/attention-scores.h" suffix(, 0)
};
static const char attentionLanes[] = {
#embed "portable/attention-lanes.h" suffix(, 0)
};
static const char tensorCores[] = {
#embed "CUDA/tensor-cores.h" suffix(, 0)
};
static const char activation[] = {
#embed "portable/activation.cl" suffix(, 0)
};
static const char add[] = {
#embed "portable/add.cl" suffix(, 0)
};
static const char attention[] = {
#embed "portable/attention.cl" suffix(, 0)
};
static const char attentionDivergence[] = {
#embed "portable/attention-divergence.cl" suffix(, 0)
};
static const char changes[] = {
#embed "portable/changes.cl" suffix(, 0)
};
static const char clusters[] = {
#embed "portable/clusters.cl" suffix(, 0)
};
static const char convert[] = {
#embed "portable/convert.cl" suffix(, 0)
};
static const char embedding[] = {
#embed "portable/embedding.cl" suffix(, 0)
};
static const char linearSystems[] = {
#embed "portable/linear-systems.cl" suffix(, 0)
};
static const char multiply[] = {
#embed "portable/multiply.cl" suffix(, 0)
};
static const char normalisation[] = {
#embed "portable/normalisation.cl" suffix(, 0)
};
static const char pairedDistances[] = {
#embed "portable/paired-distances.cl" suffix(, 0)
};
static const char pairs[] = {
#embed "portable/pairs.cl" suffix(, 0)
};
static const char pool[] = {
#embed "portable/pool.cl" suffix(, 0)
};
static const char rotary[] = {
#embed "portable/rotary.cl" suffix(, 0)
};
static const char tokenScores[] = {
#embed "portable/token-scores.cl" suffix(, 0)
};
static const char weightedSum[] = {
#embed "portable/weighted-sum.cl" suffix(, 0)
};
static const char attentionByTensorCores[] = {
#embed "CUDA/attention.cu" suffix(, 0)
};
static const char narrow[] = {
#embed "CUDA/narrow.cu" suffix(, 0)
};
static const char radialBasis[] = {
#embed "CUDA/radial-basis.cu" suffix(, 0)
};

static const struct KernelText texts[] = {
    {"dialect.opencl.h", dialectOpenCL},
    {"dialect.cuda.h", dialectCUDA},
    {"portable/elements.h", elements},
    {"portable/arithmetic.h", arithmetic},
    {"portable/groups.h", groups},
    {"portable/attention-scores.h", attentionScores},
    {"portable/attention-lanes.h", attentionLanes},
    {"CUDA/tensor-cores.h", tensorCores},
    {"portable/activation.cl", activation},
    {"portable/add.cl", add},
    {"portable/attention.cl", attention},
    {"portable/attention-divergence.cl", attentionDivergence},
    {"portable/changes.cl", changes},
    {"portable/clusters.cl", clusters},
    {"portable/convert.cl", convert},
    {"portable/embedding.cl", embedding},
    {"portable/linear-systems.cl", linearSystems},
    {"portable/multiply.cl", multiply},
    {"portable/normalisation.cl", normalisation},
    {"portable/paired-distances.cl", pairedDistances},
    {"portable/pairs.cl", pairs},
    {"portable/pool.cl", pool},
    {"portable/rotary.cl", rotary},
    {"portable/token-scores.cl", tokenScores},
    {"portable/weighted-sum.cl", weightedSum},
    {"CUDA/attention.cu", attentionByTensorCores},
    {"CUDA/narrow.cu", narrow},
    {"CUDA/radial-basis.cu", radialBasis},
    {NULL, NULL},
};

const struct KernelText *const KernelTexts = texts;
