/*
 * Which ONNX operators a model may use, and with which attribute values.
 *
 * The shipped list lives in op_allowlist.c and nowhere else. A caller may pass
 * a list of its own to the scanner; every pointer in it must outlive the call.
 */

#ifndef VMAF_DNN_OP_ALLOWLIST_H
#define VMAF_DNN_OP_ALLOWLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One permitted attribute value of one operator. An operator with at least one
 * rule is limited: an attribute on it that no rule permits is refused. An
 * operator without rules takes any attribute. The default of an attribute that
 * has rules is always permitted, so an absent attribute needs no check.
 *
 * value is compared byte for byte with a STRING attribute and, as a decimal
 * without sign or leading zeros, with an INT attribute; "*" permits any value
 * of any type.
 */
typedef struct VmafDnnAttrRule {
    const char *op;
    const char *attribute;
    const char *value;
} VmafDnnAttrRule;

typedef struct VmafDnnOpList {
    const char *const *ops;
    size_t n_ops;
    const VmafDnnAttrRule *rules;
    size_t n_rules;
} VmafDnnOpList;

/* The value of one attribute, as far as a rule can look at it. */
typedef struct VmafDnnAttrValue {
    enum { VMAF_DNN_ATTR_OTHER, VMAF_DNN_ATTR_STRING, VMAF_DNN_ATTR_INT } type;
    const uint8_t *text; /* STRING: not terminated, may hold any byte */
    size_t text_size;
    int64_t number; /* INT */
} VmafDnnAttrValue;

/* Returns the shipped list. Never NULL, never changes. */
const VmafDnnOpList *vmaf_dnn_op_list(void);

/*
 * Returns true if the op_size bytes at op are exactly one entry of list, or of
 * the shipped list if list is NULL. op may be NULL only if op_size is 0.
 */
bool vmaf_dnn_op_allowed(const VmafDnnOpList *list, const uint8_t *op, size_t op_size);

/* Returns true if list (NULL: the shipped list) has a rule for the operator op. */
bool vmaf_dnn_op_limited(const VmafDnnOpList *list, const uint8_t *op, size_t op_size);

/*
 * Returns true if list (NULL: the shipped list) lets the operator op carry the
 * attribute name with this value. value must not be NULL.
 */
bool vmaf_dnn_attr_allowed(const VmafDnnOpList *list, const uint8_t *op, size_t op_size,
                           const uint8_t *name, size_t name_size, const VmafDnnAttrValue *value);

#endif
