#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "onnx_scan.h"

/* A message under construction; a fixture never comes near the capacity. */
typedef struct Bytes {
    uint8_t data[8192];
    size_t size;
} Bytes;

static void put(Bytes *out, uint8_t byte)
{
    out->data[out->size++] = byte;
}

static void put_varint(Bytes *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put(out, (uint8_t) (value | 0x80));
    put(out, (uint8_t) value);
}

static void put_int(Bytes *out, unsigned number, uint64_t value)
{
    put_varint(out, (uint64_t) number << 3);
    put_varint(out, value);
}

static void put_bytes(Bytes *out, unsigned number, const void *data, size_t size)
{
    put_varint(out, (uint64_t) number << 3 | 2);
    put_varint(out, size);
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

static void put_text(Bytes *out, unsigned number, const char *text)
{
    put_bytes(out, number, text, strlen(text));
}

static void put_inner(Bytes *out, unsigned number, const Bytes *inner)
{
    put_bytes(out, number, inner->data, inner->size);
}

static Bytes node_of(const char *op)
{
    Bytes node = {.size = 0};
    put_text(&node, 1, "x");
    put_text(&node, 2, "y");
    put_text(&node, 3, "n");
    put_text(&node, 4, op);
    return node;
}

static Bytes model_of_graph(const Bytes *graph)
{
    Bytes model = {.size = 0}, opset = {.size = 0};
    put_int(&opset, 2, 17);
    put_int(&model, 1, 8);
    put_inner(&model, 7, graph);
    put_inner(&model, 8, &opset);
    return model;
}

static Bytes model_of(const Bytes *node)
{
    Bytes graph = {.size = 0};
    put_inner(&graph, 1, node);
    return model_of_graph(&graph);
}

static VmafDnnScanReport scan(const Bytes *model)
{
    VmafDnnScanReport report;
    const int error = vmaf_dnn_scan(model->data, model->size, NULL, &report);
    CHECK(error == (report.reason == VMAF_DNN_OK ? 0 : -EPERM));
    return report;
}

static int reason_of_node(const Bytes *node)
{
    const Bytes model = model_of(node);
    return scan(&model).reason;
}

static void test_accepts_a_plain_model(void)
{
    const Bytes node = node_of("Relu");
    const Bytes model = model_of(&node);
    const VmafDnnScanReport report = scan(&model);
    CHECK(report.reason == VMAF_DNN_OK && report.opset == 17 && report.nodes == 1);
    CHECK(report.op[0] == '\0' && report.detail[0] == '\0');
}

static void test_names_what_it_refuses(void)
{
    const Bytes node = node_of("NonZero");
    const Bytes model = model_of(&node);
    const VmafDnnScanReport report = scan(&model);
    CHECK(report.reason == VMAF_DNN_OP_NOT_ALLOWED);
    CHECK(strcmp(report.op, "NonZero") == 0 && strcmp(report.node, "n") == 0);
    CHECK(report.domain[0] == '\0' && report.offset == 6);
}

static void test_nodes(void)
{
    Bytes node = node_of("Relu");
    put_text(&node, 7, "ai.onnx");
    CHECK(reason_of_node(&node) == VMAF_DNN_OK);
    node = node_of("Relu");
    put_text(&node, 7, "com.example");
    CHECK(reason_of_node(&node) == VMAF_DNN_FOREIGN_DOMAIN);
    node = node_of("");
    CHECK(reason_of_node(&node) == VMAF_DNN_MISSING_OP_TYPE);
    node.size = 0;
    CHECK(reason_of_node(&node) == VMAF_DNN_MISSING_OP_TYPE);
    node = node_of("Relu");
    put_text(&node, 4, "Relu");
    CHECK(reason_of_node(&node) == VMAF_DNN_DUPLICATE_FIELD);
    put_bytes(&node, 4, "Conv\0X", 6);
    node.size = 0;
    put_bytes(&node, 4, "Conv\0X", 6);
    CHECK(reason_of_node(&node) == VMAF_DNN_EMBEDDED_NUL);
    node = node_of("Relu");
    put(&node, 0x02); /* field 0 of two bytes */
    put(&node, 0x00);
    CHECK(reason_of_node(&node) == VMAF_DNN_BAD_TAG);
    node = node_of("Relu");
    put_int(&node, 4, 1);
    CHECK(reason_of_node(&node) == VMAF_DNN_WRONG_WIRE_TYPE);
    node = node_of("Relu");
    put_int(&node, 11, 1);
    CHECK(reason_of_node(&node) == VMAF_DNN_UNKNOWN_FIELD);
}

static Bytes attribute_of(const char *name, unsigned type)
{
    Bytes attribute = {.size = 0};
    put_text(&attribute, 1, name);
    put_int(&attribute, 20, type);
    return attribute;
}

static int reason_of_attribute(const char *op, const Bytes *attribute)
{
    Bytes node = node_of(op);
    put_inner(&node, 5, attribute);
    return reason_of_node(&node);
}

static void test_attributes(void)
{
    Bytes attribute = attribute_of("alpha", 2);
    put_int(&attribute, 3, 1);
    CHECK(reason_of_attribute("Elu", &attribute) == VMAF_DNN_OK);
    put_bytes(&attribute, 4, "s", 1);
    CHECK(reason_of_attribute("Elu", &attribute) == VMAF_DNN_ATTRIBUTE_TYPE);
    attribute = attribute_of("alpha", 2);
    CHECK(reason_of_attribute("Elu", &attribute) == VMAF_DNN_ATTRIBUTE_TYPE);
    attribute = attribute_of("alpha", 7); /* no element is a list too */
    CHECK(reason_of_attribute("Elu", &attribute) == VMAF_DNN_OK);
    attribute = attribute_of("alpha", 15);
    CHECK(reason_of_attribute("Elu", &attribute) == VMAF_DNN_ATTRIBUTE_TYPE);
    put_text(&attribute, 21, "outer");
    CHECK(reason_of_attribute("Elu", &attribute) == VMAF_DNN_ATTRIBUTE_REFERENCE);
    attribute = attribute_of("training_mode", 2);
    put_int(&attribute, 3, 1);
    CHECK(reason_of_attribute("BatchNormalization", &attribute) == VMAF_DNN_ATTRIBUTE_POLICY);
    attribute = attribute_of("mode", 3);
    put_text(&attribute, 4, "linear");
    CHECK(reason_of_attribute("Resize", &attribute) == VMAF_DNN_OK);
    attribute = attribute_of("mode", 3);
    put_text(&attribute, 4, "cubic");
    CHECK(reason_of_attribute("Resize", &attribute) == VMAF_DNN_ATTRIBUTE_POLICY);
    attribute = attribute_of("axes", 7);
    CHECK(reason_of_attribute("Resize", &attribute) == VMAF_DNN_ATTRIBUTE_POLICY);
}

static void test_tensors(void)
{
    Bytes tensor = {.size = 0}, graph = {.size = 0}, entry = {.size = 0};
    put_text(&tensor, 8, "w");
    put_int(&tensor, 14, 1);
    put_inner(&graph, 5, &tensor);
    Bytes model = model_of_graph(&graph);
    VmafDnnScanReport report = scan(&model);
    CHECK(report.reason == VMAF_DNN_EXTERNAL_DATA && strcmp(report.detail, "w") == 0);

    tensor.size = 0;
    put_inner(&tensor, 13, &entry);
    graph.size = 0;
    put_inner(&graph, 5, &tensor);
    model = model_of_graph(&graph);
    CHECK(scan(&model).reason == VMAF_DNN_EXTERNAL_DATA);

    /* A protobuf library cuts this to 32 bits and reads EXTERNAL. */
    tensor.size = 0;
    put_int(&tensor, 14, UINT64_C(0x100000001));
    graph.size = 0;
    put_inner(&graph, 5, &tensor);
    model = model_of_graph(&graph);
    CHECK(scan(&model).reason == VMAF_DNN_LOSSY_VALUE);
}

static void test_runs_of_numbers(void)
{
    /* Runs are checked in blocks: a fault must be found wherever it lies in one. */
    for (size_t at = 0; at <= 130; at++) {
        static const uint8_t longest[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
        uint8_t run[256];
        Bytes tensor = {.size = 0}, graph = {.size = 0};
        memset(run, 1, sizeof(run));
        memcpy(run + at, longest, sizeof(longest));
        put_bytes(&tensor, 7, run, sizeof(run));
        put_inner(&graph, 5, &tensor);
        Bytes model = model_of_graph(&graph);
        CHECK(scan(&model).reason == VMAF_DNN_OK);

        for (size_t i = 0; i < 2; i++) {
            run[at + 9] = i == 0 ? 2 : 0; /* 65 bits, then longer than it needs to be */
            tensor.size = graph.size = 0;
            put_bytes(&tensor, 7, run, sizeof(run));
            put_inner(&graph, 5, &tensor);
            model = model_of_graph(&graph);
            CHECK(scan(&model).reason == VMAF_DNN_BAD_VARINT);
        }
        memset(run, 1, sizeof(run));
        run[at] = 0x80;
        run[at + 1] = 0;
        tensor.size = graph.size = 0;
        put_bytes(&tensor, 7, run, sizeof(run));
        put_inner(&graph, 5, &tensor);
        model = model_of_graph(&graph);
        CHECK(scan(&model).reason == VMAF_DNN_BAD_VARINT);
    }
}

static void test_model_parts(void)
{
    const Bytes node = node_of("Relu"), empty = {.size = 0};
    Bytes model = model_of(&node);
    put_inner(&model, 25, &empty);
    CHECK(scan(&model).reason == VMAF_DNN_FUNCTIONS);
    model = model_of(&node);
    put_inner(&model, 20, &empty);
    CHECK(scan(&model).reason == VMAF_DNN_TRAINING_INFO);
    model = model_of(&node);
    put_inner(&model, 7, &empty);
    CHECK(scan(&model).reason == VMAF_DNN_DUPLICATE_FIELD);
    model.size = 0;
    CHECK(scan(&model).reason == VMAF_DNN_MISSING_GRAPH);
    put_inner(&model, 7, &empty);
    CHECK(scan(&model).reason == VMAF_DNN_BAD_OPSET);
}

static Bytes nested(unsigned depth)
{
    Bytes node = node_of("If");
    for (unsigned i = 0; i < depth; i++) {
        Bytes graph = {.size = 0}, attribute = attribute_of("then_branch", 5);
        put_inner(&graph, 1, &node);
        put_inner(&attribute, 6, &graph);
        node = node_of("If");
        put_inner(&node, 5, &attribute);
    }
    return node;
}

static void test_depth(void)
{
    Bytes node = nested(VMAF_DNN_MAX_SUBGRAPH_DEPTH);
    CHECK(reason_of_node(&node) == VMAF_DNN_OK);
    node = nested(VMAF_DNN_MAX_SUBGRAPH_DEPTH + 1);
    CHECK(reason_of_node(&node) == VMAF_DNN_TOO_DEEP);
}

static Bytes loops(unsigned count, uint64_t trips)
{
    Bytes graph = {.size = 0}, tensor = {.size = 0};
    put_int(&tensor, 2, 7);
    put_bytes(&tensor, 9, (const uint8_t[8]){(uint8_t) trips, (uint8_t) (trips >> 8)}, 8);
    put_text(&tensor, 8, "x");
    put_inner(&graph, 5, &tensor);
    const Bytes node = node_of("Loop");
    for (unsigned i = 0; i < count; i++)
        put_inner(&graph, 1, &node);
    return model_of_graph(&graph);
}

static void test_loops(void)
{
    Bytes model = loops(VMAF_DNN_MAX_LOOPS, VMAF_DNN_MAX_TRIP_COUNT);
    CHECK(scan(&model).reason == VMAF_DNN_OK);
    model = loops(VMAF_DNN_MAX_LOOPS + 1, 1);
    CHECK(scan(&model).reason == VMAF_DNN_TOO_MANY_LOOPS);
    model = loops(1, VMAF_DNN_MAX_TRIP_COUNT + 1);
    CHECK(scan(&model).reason == VMAF_DNN_LOOP_TRIP_COUNT);
    const Bytes node = node_of("Loop");
    CHECK(reason_of_node(&node) == VMAF_DNN_LOOP_TRIP_COUNT);
}

static void test_limits(void)
{
    uint8_t *const large = calloc(1, VMAF_DNN_MAX_MODEL_SIZE + 1);
    VmafDnnScanReport report;
    CHECK(large != NULL);
    if (!large)
        return;
    CHECK(vmaf_dnn_scan(large, VMAF_DNN_MAX_MODEL_SIZE + 1, NULL, &report) == -EPERM);
    CHECK(report.reason == VMAF_DNN_FILE_TOO_LARGE);
    CHECK(vmaf_dnn_scan(large, VMAF_DNN_MAX_MODEL_SIZE, NULL, &report) == -EPERM);
    CHECK(report.reason == VMAF_DNN_BAD_TAG);

    /* Empty metadata entries, two bytes each. */
    for (size_t i = 0; i < 4 * (size_t) VMAF_DNN_MAX_FIELDS; i += 2)
        large[i] = 14 << 3 | 2;
    CHECK(vmaf_dnn_scan(large, 4 * (size_t) VMAF_DNN_MAX_FIELDS, NULL, &report) == -EPERM);
    CHECK(report.reason == VMAF_DNN_TOO_MANY_FIELDS);
    CHECK(report.offset == 2 * (uint64_t) VMAF_DNN_MAX_FIELDS);
    free(large);
}

static void test_callers_are_checked(void)
{
    VmafDnnScanReport report;
    const uint8_t byte = 0;
    CHECK(vmaf_dnn_scan(NULL, 0, NULL, &report) == -EINVAL);
    CHECK(vmaf_dnn_scan(&byte, 1, NULL, NULL) == -EINVAL);
    CHECK(vmaf_dnn_reason_name(VMAF_DNN_REASONS) == NULL && vmaf_dnn_reason_name(-1) == NULL);
    for (int reason = 0; reason < VMAF_DNN_REASONS; reason++)
        CHECK(vmaf_dnn_reason_name(reason) != NULL);
}

/* No cut of a good model is read beyond its end, nor accepted. */
static void test_every_truncation(void)
{
    const Bytes node = nested(2);
    const Bytes model = model_of(&node);
    for (size_t size = 0; size < model.size; size++) {
        uint8_t *const cut = malloc(size + 1);
        CHECK(cut != NULL);
        if (!cut)
            return;
        memcpy(cut, model.data, size);
        uint8_t *const exact = realloc(cut, size ? size : 1);
        VmafDnnScanReport report;
        CHECK(vmaf_dnn_scan(exact ? exact : cut, size, NULL, &report) == -EPERM);
        free(exact ? exact : cut);
    }
}

int main(void)
{
    test_accepts_a_plain_model();
    test_names_what_it_refuses();
    test_nodes();
    test_attributes();
    test_tensors();
    test_runs_of_numbers();
    test_model_parts();
    test_depth();
    test_loops();
    test_limits();
    test_callers_are_checked();
    test_every_truncation();
    return checked();
}
