/*
 * The one list of ONNX operators that a model may use, and the attribute
 * values they may carry. The trainer reads this file as text, so both tables
 * stay plain: string literals, commas, braces and comments, nothing computed.
 */

#include "op_allowlist.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Operators of the default ONNX domain, matched byte for byte, the most used first. */
static const char *const op_allowlist[] = {
    /* convolutions and pools */
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",

    /* activations */
    "Relu",
    "LeakyRelu",
    "Sigmoid",
    "Tanh",
    "Softmax",
    "Elu",
    "Selu",
    "Softplus",
    "Softsign",
    "Gelu",
    "Erf",
    "HardSigmoid",
    "HardSwish",
    "PRelu",

    /* shape and data movement */
    "Identity",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Concat",
    "Slice",
    "Gather",
    "Cast",
    "Shape",
    "Expand",
    "Resize",

    /* element-wise arithmetic */
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Neg",
    "Abs",
    "Sqrt",
    "Pow",
    "Exp",
    "Log",
    "Clip",
    "Min",
    "Max",
    "Sum",
    "Mean",

    /* reductions and global pools */
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "GlobalAveragePool",
    "GlobalMaxPool",

    /* matrix products */
    "Gemm",
    "MatMul",

    /* normalisation */
    "BatchNormalization",
    "LayerNormalization",
    "InstanceNormalization",

    /* training leftovers and quantisation */
    "Dropout",
    "QuantizeLinear",
    "DequantizeLinear",

    /* constants and indexing */
    "Constant",
    "ConstantOfShape",
    "Pad",
    "Reciprocal",
    "GatherND",
    "ScatterND",
    "BitShift",

    /* control flow: bodies are checked too */
    "Loop",
    "If",
};

/*
 * Attribute values that keep an operator's meaning inside the contract; see
 * VmafDnnAttrRule for how a rule is read.
 */
static const VmafDnnAttrRule attr_policy[] = {
    /* statistics are frozen: a model in training mode depends on its batch */
    {"BatchNormalization", "epsilon", "*"},
    {"BatchNormalization", "momentum", "*"},
    {"BatchNormalization", "training_mode", "0"},

    /* plain resampling only: no cubic, no crop, no corner alignment, no antialias */
    {"Resize", "mode", "linear"},
    {"Resize", "mode", "nearest"},
    {"Resize", "coordinate_transformation_mode", "half_pixel"},
    {"Resize", "coordinate_transformation_mode", "asymmetric"},
    {"Resize", "nearest_mode", "floor"},
    {"Resize", "nearest_mode", "round_prefer_floor"},
    {"Resize", "antialias", "0"},
    {"Resize", "exclude_outside", "0"},
    {"Resize", "keep_aspect_ratio_policy", "stretch"},
    /* without effect in the modes above, yet written by exporters */
    {"Resize", "cubic_coeff_a", "*"},
    {"Resize", "extrapolation_value", "*"},
};

static const VmafDnnOpList shipped_list = {
    op_allowlist,
    sizeof(op_allowlist) / sizeof(op_allowlist[0]),
    attr_policy,
    sizeof(attr_policy) / sizeof(attr_policy[0]),
};

const VmafDnnOpList *vmaf_dnn_op_list(void)
{
    return &shipped_list;
}

/* Most entries differ in the first byte, so this ends sooner than strlen() and memcmp(). */
static inline bool same_text(const char *entry, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((uint8_t) entry[i] != text[i] || entry[i] == '\0')
            return false;
    }
    return entry[size] == '\0';
}

bool vmaf_dnn_op_allowed(const VmafDnnOpList *list, const uint8_t *op, size_t op_size)
{
    const VmafDnnOpList *const use = list ? list : &shipped_list;
    for (size_t i = 0; i < use->n_ops; i++) {
        if (same_text(use->ops[i], op, op_size))
            return true;
    }
    return false;
}

/* Decimal without sign or leading zeros; false for a negative number. */
static bool same_number(const char *entry, int64_t number)
{
    char digits[24];
    if (number < 0)
        return false;
    const int size = snprintf(digits, sizeof(digits), "%" PRId64, number);
    assert(size > 0 && (size_t) size < sizeof(digits));
    (void) size;
    return strcmp(entry, digits) == 0;
}

static bool permits(const VmafDnnAttrRule *rule, const VmafDnnAttrValue *value)
{
    if (strcmp(rule->value, "*") == 0)
        return true;
    if (value->type == VMAF_DNN_ATTR_STRING)
        return same_text(rule->value, value->text, value->text_size);
    return value->type == VMAF_DNN_ATTR_INT && same_number(rule->value, value->number);
}

bool vmaf_dnn_op_limited(const VmafDnnOpList *list, const uint8_t *op, size_t op_size)
{
    const VmafDnnOpList *const use = list ? list : &shipped_list;
    const char *before = NULL;
    for (size_t i = 0; i < use->n_rules; i++) {
        /* The rules of one op stand together, and compilers keep equal literals once. */
        if (use->rules[i].op != before && same_text(use->rules[i].op, op, op_size))
            return true;
        before = use->rules[i].op;
    }
    return false;
}

bool vmaf_dnn_attr_allowed(const VmafDnnOpList *list, const uint8_t *op, size_t op_size,
                           const uint8_t *name, size_t name_size, const VmafDnnAttrValue *value)
{
    const VmafDnnOpList *const use = list ? list : &shipped_list;
    for (size_t i = 0; i < use->n_rules; i++) {
        const VmafDnnAttrRule *const rule = &use->rules[i];
        if (same_text(rule->op, op, op_size) && same_text(rule->attribute, name, name_size) &&
            permits(rule, value))
            return true;
    }
    return !vmaf_dnn_op_limited(list, op, op_size);
}
