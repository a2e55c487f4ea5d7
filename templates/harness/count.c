/* A QEMU plugin that counts instructions between two addresses.
 *
 * Arguments: markers=FILE,out=FILE. FILE has a line "HEX-ADDRESS ID" a marker: ID -1 starts counting, -2 stops,
 * 0 and up begin a layer. When QEMU exits, `out` gets "ID COUNT" of the last pass for each marker passed: the
 * instructions executed since the start when it was reached. Counting is exact: a block adds its length as it is
 * entered, and a marker within takes off what is still to come. Then a line "HEX-START HEX-END COUNT TAKEN LAYER" a block
 * entered between the first and the last marker, and a layer that it ran in (-1 before the first): how often it was,
 * how often it was left for another place than its end, and the layer. A block in which counting begins or ends is
 * counted whole or not at all, one in which a layer begins belongs to that layer.
 *
 * No header: distributions ship none, and these few functions are the same since QEMU 4.2. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct block;
struct instruction;
enum { NO_REGISTERS = 0 };

typedef void (*block_translated)(plugin_id id, struct block *block);
typedef void (*executed)(unsigned int cpu, void *data);
typedef void (*at_exit)(plugin_id id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, block_translated callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct block *block, executed callback, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct instruction *insn, executed callback, int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, at_exit callback, void *data);
size_t qemu_plugin_tb_n_insns(const struct block *block);
struct instruction *qemu_plugin_tb_get_insn(const struct block *block, size_t index);
uint64_t qemu_plugin_tb_vaddr(const struct block *block);
uint64_t qemu_plugin_insn_vaddr(const struct instruction *insn);
size_t qemu_plugin_insn_size(const struct instruction *insn);

EXPORT int qemu_plugin_version = TC_PLUGIN_VERSION;
EXPORT int qemu_plugin_install(plugin_id id, const void *information, int count, char **arguments);

enum { MARKER_BEGIN = -1, MARKER_END = -2 };

struct marker {
    uint64_t address;
    long id;
    uint64_t count; /* of the last pass */
    int passed;
};

/* A marker in a block, with the number of the block's instructions from the marker on. */
struct place {
    struct marker *marker;
    uint64_t remaining;
};

/* Instructions that run one after the other. */
struct run {
    uint64_t start;
    uint64_t end;
    uint64_t length; /* instructions */
    uint64_t count;  /* in this layer so far */
    uint64_t taken;
    struct run *next;
};

/* What a run did in a layer that is over. */
struct tally {
    const struct run *run;
    uint64_t count;
    uint64_t taken;
    long layer;
};

static struct marker *markers;
static struct run *runs;
static struct run *last_run;
static struct tally *tallies;
static size_t tally_count;
static size_t tally_room;
static long layer;
static int is_counting;
static size_t marker_count;
static FILE *output;
static uint64_t total;
static uint64_t start;

static void *checked(void *memory)
{
    if (memory == NULL) {
        fputs("instruction counter: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return memory;
}

/* The layer is over: what ran in it is kept, and counting starts again at 0. */
static void end_layer(void)
{
    for (struct run *run = runs; run != NULL; run = run->next) {
        if (run->count != 0 || run->taken != 0) {
            if (tally_count == tally_room) {
                tally_room = 2 * tally_room + 1024;
                tallies = checked(realloc(tallies, tally_room * sizeof *tallies));
            }
            tallies[tally_count++] = (struct tally){run, run->count, run->taken, layer};
            run->count = 0;
            run->taken = 0;
        }
    }
}

static void on_block(unsigned int cpu, void *data)
{
    struct run *const run = data;
    (void)cpu;
    total += run->length;
    if (is_counting) {
        run->count++;
        if (last_run != NULL && last_run->end != run->start) {
            last_run->taken++;
        }
        last_run = run;
    }
}

static void on_marker(unsigned int cpu, void *data)
{
    const struct place *const place = data;
    const uint64_t now = total - place->remaining;
    (void)cpu;
    if (place->marker->id == MARKER_BEGIN) {
        start = now;
        for (size_t i = 0; i < marker_count; i++) {
            markers[i].passed = 0;
        }
        end_layer();
        tally_count = 0;
        layer = -1;
        last_run = NULL;
        is_counting = 1;
    } else if (place->marker->id == MARKER_END) {
        end_layer();
        is_counting = 0;
    } else if (is_counting && last_run != NULL) {
        last_run->count--;
        end_layer();
        last_run->count++;
        layer = place->marker->id;
    }
    place->marker->count = now - start;
    place->marker->passed = 1;
}

static void on_translated(plugin_id id, struct block *block)
{
    const size_t length = qemu_plugin_tb_n_insns(block);
    struct run *const run = checked(calloc(1, sizeof *run));
    (void)id;
    run->start = qemu_plugin_tb_vaddr(block);
    run->end = run->start;
    run->length = length;
    run->next = runs;
    runs = run;
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, NO_REGISTERS, run);
    for (size_t index = 0; index < length; index++) {
        struct instruction *const insn = qemu_plugin_tb_get_insn(block, index);
        run->end += qemu_plugin_insn_size(insn);
        const uint64_t address = qemu_plugin_insn_vaddr(insn);
        for (size_t i = 0; i < marker_count; i++) {
            if (markers[i].address == address) {
                struct place *const place = checked(malloc(sizeof *place));
                place->marker = &markers[i];
                place->remaining = length - index;
                qemu_plugin_register_vcpu_insn_exec_cb(insn, on_marker, NO_REGISTERS, place);
            }
        }
    }
}

static void on_exit_write(plugin_id id, void *data)
{
    (void)id;
    (void)data;
    for (size_t i = 0; i < marker_count; i++) {
        if (markers[i].passed) {
            fprintf(output, "%ld %" PRIu64 "\n", markers[i].id, markers[i].count);
        }
    }
    for (size_t i = 0; i < tally_count; i++) {
        const struct tally *const tally = &tallies[i];
        fprintf(output, "%" PRIx64 " %" PRIx64 " %" PRIu64 " %" PRIu64 " %ld\n", tally->run->start, tally->run->end,
                tally->count, tally->taken, tally->layer);
    }
    fclose(output);
}

static int read_markers(const char *path)
{
    FILE *const file = fopen(path, "r");
    uint64_t address;
    long id;
    if (file == NULL) {
        return -1;
    }
    while (fscanf(file, "%" SCNx64 " %ld", &address, &id) == 2) {
        markers = checked(realloc(markers, (marker_count + 1) * sizeof *markers));
        markers[marker_count++] = (struct marker){address, id, 0, 0};
    }
    fclose(file);
    return 0;
}

int qemu_plugin_install(plugin_id id, const void *information, int count, char **arguments)
{
    (void)information;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "markers=", 8) == 0 && read_markers(arguments[i] + 8) != 0) {
            return -1;
        }
        if (strncmp(arguments[i], "out=", 4) == 0) {
            output = fopen(arguments[i] + 4, "w");
        }
    }
    if (output == NULL || marker_count == 0) {
        fputs("instruction counter: needs markers=FILE,out=FILE\n", stderr);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_atexit_cb(id, on_exit_write, NULL);
    return 0;
}
