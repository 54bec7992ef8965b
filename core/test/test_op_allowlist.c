#include <string.h>

#include "check.h"
#include "op_allowlist.h"

#define TEXT(literal) (const uint8_t *) (literal), sizeof(literal) - 1

static bool string_allowed(const char *op, const char *name, const char *text)
{
    const VmafDnnAttrValue value = {VMAF_DNN_ATTR_STRING, (const uint8_t *) text, strlen(text), 0};
    return vmaf_dnn_attr_allowed(NULL, (const uint8_t *) op, strlen(op), (const uint8_t *) name,
                                 strlen(name), &value);
}

static bool int_allowed(const char *op, const char *name, int64_t number)
{
    const VmafDnnAttrValue value = {VMAF_DNN_ATTR_INT, NULL, 0, number};
    return vmaf_dnn_attr_allowed(NULL, (const uint8_t *) op, strlen(op), (const uint8_t *) name,
                                 strlen(name), &value);
}

static void test_ops(void)
{
    CHECK(vmaf_dnn_op_allowed(NULL, TEXT("Conv")));
    CHECK(vmaf_dnn_op_allowed(NULL, TEXT("Loop")));
    CHECK(vmaf_dnn_op_allowed(NULL, TEXT("Resize")));
    CHECK(!vmaf_dnn_op_allowed(NULL, TEXT("Upsample")));
    CHECK(!vmaf_dnn_op_allowed(NULL, TEXT("Conv\0X")));
    CHECK(!vmaf_dnn_op_allowed(NULL, TEXT("Con")));
    CHECK(!vmaf_dnn_op_allowed(NULL, TEXT("conv")));
    CHECK(!vmaf_dnn_op_allowed(NULL, TEXT("linear")));
    CHECK(!vmaf_dnn_op_allowed(NULL, TEXT("Scan")));
    CHECK(!vmaf_dnn_op_allowed(NULL, NULL, 0));
}

static void test_list_of_a_caller(void)
{
    static const char *const ops[] = {"Mod"};
    static const VmafDnnAttrRule rules[] = {{"Mod", "fmod", "1"}};
    const VmafDnnOpList list = {ops, 1, rules, 1};
    CHECK(vmaf_dnn_op_allowed(&list, TEXT("Mod")));
    CHECK(!vmaf_dnn_op_allowed(&list, TEXT("Conv")));
    const VmafDnnAttrValue one = {VMAF_DNN_ATTR_INT, NULL, 0, 1};
    CHECK(vmaf_dnn_attr_allowed(&list, TEXT("Mod"), TEXT("fmod"), &one));
    CHECK(!vmaf_dnn_attr_allowed(&list, TEXT("Mod"), TEXT("other"), &one));
    CHECK(vmaf_dnn_attr_allowed(&list, TEXT("Conv"), TEXT("group"), &one));
}

static void test_policy(void)
{
    CHECK(string_allowed("Resize", "mode", "linear"));
    CHECK(string_allowed("Resize", "mode", "nearest"));
    CHECK(!string_allowed("Resize", "mode", "cubic"));
    CHECK(!int_allowed("Resize", "mode", 0));
    CHECK(string_allowed("Resize", "coordinate_transformation_mode", "half_pixel"));
    CHECK(string_allowed("Resize", "coordinate_transformation_mode", "asymmetric"));
    CHECK(!string_allowed("Resize", "coordinate_transformation_mode", "align_corners"));
    CHECK(!string_allowed("Resize", "coordinate_transformation_mode", "pytorch_half_pixel"));
    CHECK(string_allowed("Resize", "nearest_mode", "floor"));
    CHECK(!string_allowed("Resize", "nearest_mode", "ceil"));
    CHECK(!int_allowed("Resize", "exclude_outside", 1));
    CHECK(!string_allowed("Resize", "keep_aspect_ratio_policy", "not_larger"));
    CHECK(int_allowed("Resize", "antialias", 0));
    CHECK(!int_allowed("Resize", "antialias", 1));
    CHECK(!int_allowed("Resize", "antialias", -1));
    CHECK(!int_allowed("Resize", "axes", 0));
    CHECK(int_allowed("BatchNormalization", "training_mode", 0));
    CHECK(!int_allowed("BatchNormalization", "training_mode", 1));
}

int main(void)
{
    test_ops();
    test_list_of_a_caller();
    test_policy();
    return checked();
}
