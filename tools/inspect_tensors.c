/*
 * inspect_tensors.c - tensors counted, chosen, sorted, listed, drawn as a tree
 */
#include <config.h>

#include "inspect.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

enum {
    MAX_LEVELS = 32, /* of the tree: what is deeper is one leaf */
    LINE_ROOM = 8    /* bytes of a level's lines: "│  " has five */
};

const char *
dfx_stored_type(const dfx_tensor *tensor)
{
    uint64_t stored;
    const char *form = dfx_tensor_form(tensor, &stored);

    return form != NULL ? form : dfx_type_name(tensor->type);
}

uint64_t
dfx_stored_bytes(const dfx_tensor *tensor)
{
    uint64_t stored;

    (void)dfx_tensor_form(tensor, &stored);
    return stored;
}

static void
sums_add(dfx_sums *sums, const dfx_tensor *tensor)
{
    dfx_sum *sum[] = {&sums->all, &sums->by_type[tensor->type]};

    for (size_t i = 0; i < 2; i++) {
        sum[i]->tensors++;
        sum[i]->parameters += dfx_elements(tensor->shape, tensor->rank);
        sum[i]->bytes += dfx_stored_bytes(tensor);
    }
}

dfx_sums
dfx_sums_of_index(const dfx_index *index)
{
    dfx_sums sums = {0};
    size_t count = 0;
    const dfx_tensor *tensors = dfx_index_tensors(index, &count);

    for (size_t i = 0; i < count; i++)
        sums_add(&sums, &tensors[i]);
    return sums;
}

dfx_sums
dfx_sums_of_part(const dfx_index *index, const dfx_part *part)
{
    dfx_sums sums = {0};
    size_t count = 0;
    const dfx_tensor *tensors = dfx_index_tensors(index, &count);

    for (size_t i = 0; i < part->tensor_count; i++)
        sums_add(&sums, &tensors[part->tensors[i]]);
    return sums;
}

dfx_sums
dfx_sums_of_rest(const dfx_source *source)
{
    dfx_sums sums = {0};
    size_t count = 0, part_count = 0;
    const dfx_tensor *tensors = dfx_index_tensors(source->index, &count);
    const dfx_part *parts = dfx_identity_parts(source->identity, &part_count);
    bool *taken = dfx_need(calloc(count + 1, sizeof *taken));

    for (size_t p = 0; p < part_count; p++)
        for (size_t i = 0; i < parts[p].tensor_count; i++)
            taken[parts[p].tensors[i]] = true;
    for (size_t i = 0; i < count; i++)
        if (!taken[i])
            sums_add(&sums, &tensors[i]);
    free(taken);
    return sums;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/*
 * Orders names as people do: 2 before 10. Names with a common beginning stay
 * together, which the tree relies on; so 1 and 01 differ at once.
 */
static int
compare_names(const char *a, const char *b)
{
    while (*a != '\0' && *b != '\0') {
        size_t m = 0, n = 0;
        int order;

        if (!is_digit(*a) || !is_digit(*b)) {
            if (*a != *b)
                break;
            a++;
            b++;
            continue;
        }
        while (is_digit(a[m]))
            m++;
        while (is_digit(b[n]))
            n++;
        order = m != n ? (m < n ? -1 : 1) : memcmp(a, b, m);
        if (order != 0)
            return order;
        a += m;
        b += n;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static int
by_name(const void *x, const void *y)
{
    const dfx_chosen *a = x, *b = y;

    return compare_names(a->name, b->name);
}

static int
by_size(const void *x, const void *y)
{
    const dfx_chosen *a = x, *b = y;
    uint64_t m = dfx_stored_bytes(a->tensor), n = dfx_stored_bytes(b->tensor);

    return m != n ? (m > n ? -1 : 1) : by_name(x, y);
}

static int
by_dtype(const void *x, const void *y)
{
    const dfx_chosen *a = x, *b = y;
    int order = strcmp(dfx_stored_type(a->tensor), dfx_stored_type(b->tensor));

    return order != 0 ? order : by_name(x, y);
}

static int
by_offset(const void *x, const void *y)
{
    const dfx_chosen *a = x, *b = y;
    uint64_t m = a->tensor->data.offset, n = b->tensor->data.offset;
    int order = strcmp(dfx_extent_file(&a->tensor->data),
                       dfx_extent_file(&b->tensor->data));

    if (order != 0)
        return order;
    return m != n ? (m < n ? -1 : 1) : by_name(x, y);
}

void
dfx_choice_init(dfx_choice *choice, const dfx_index *index, const char *glob,
                dfx_sort sort)
{
    static int (*const orders[])(const void *, const void *) = {
        [DFX_SORT_NAME] = by_name,
        [DFX_SORT_SIZE] = by_size,
        [DFX_SORT_DTYPE] = by_dtype,
        [DFX_SORT_OFFSET] = by_offset,
    };
    size_t count = 0, component_count = 0;
    const dfx_tensor *tensors = dfx_index_tensors(index, &count);
    const dfx_component *components =
        dfx_index_components(index, &component_count);

    choice->items = dfx_need(calloc(count + 1, sizeof *choice->items));
    choice->count = 0;
    for (size_t i = 0; i < count; i++) {
        const dfx_tensor *t = &tensors[i];
        const char *component = components[t->component].name;
        dfx_chosen item = {t, t->name, NULL};

        if (component[0] != '\0') {
            size_t size = strlen(component) + 1 + strlen(t->name) + 1;

            item.made = dfx_need(malloc(size));
            snprintf(item.made, size, "%s/%s", component, t->name);
            item.name = item.made;
        }
        if (glob == NULL || fnmatch(glob, t->name, 0) == 0 ||
            fnmatch(glob, item.name, 0) == 0)
            choice->items[choice->count++] = item;
        else
            free(item.made);
    }
    qsort(choice->items, choice->count, sizeof *choice->items, orders[sort]);
}

void
dfx_choice_fini(dfx_choice *choice)
{
    for (size_t i = 0; i < choice->count; i++)
        free(choice->items[i].made);
    free(choice->items);
    *choice = (dfx_choice){0};
}

dfx_status
dfx_print_tensors(const dfx_inspect *asked, const dfx_choice *choice,
                  dfx_error *err)
{
    dfx_table table;

    dfx_table_init(&table, "lllrrl");
    dfx_table_cell(&table, "TENSOR");
    dfx_table_cell(&table, "TYPE");
    dfx_table_cell(&table, "SHAPE");
    dfx_table_cell(&table, "BYTES");
    dfx_table_cell(&table, "OFFSET");
    dfx_table_cell(&table, asked->hash ? "SHA-256" : "");
    for (size_t i = 0; i < choice->count; i++) {
        const dfx_tensor *t = choice->items[i].tensor;
        char hash[DFX_HASH_CHARS] = "", shape[256];

        if (asked->hash) {
            dfx_status status = dfx_hash_tensor(t, hash, err);

            if (status != DFX_OK) {
                dfx_table_fini(&table);
                return status;
            }
        }
        dfx_table_cell(&table, choice->items[i].name);
        dfx_table_cell(&table, dfx_stored_type(t));
        dfx_table_cell(&table,
                       dfx_shape_print(t->shape, t->rank, shape, sizeof shape));
        dfx_table_u64(&table, dfx_stored_bytes(t));
        dfx_table_u64(&table, t->data.offset);
        dfx_table_cell(&table, hash);
    }
    dfx_table_print(&table, stdout, 0, &asked->colours);
    dfx_table_fini(&table);
    return DFX_OK;
}

/* The tree of chosen names from first to last, all equal in their first start
   bytes, drawn behind lines. */
typedef struct branch {
    const dfx_chosen *first, *last;
    size_t start;
    char lines[MAX_LEVELS * LINE_ROOM];
} branch;

/* Where the part of a name that begins at start ends. */
static size_t
part_end(const char *name, size_t start)
{
    return start + strcspn(name + start, "./");
}

/* Whether two names have the same part at start. */
static bool
is_alike(const char *a, const char *b, size_t start)
{
    size_t end = part_end(a, start);

    return part_end(b, start) == end &&
           memcmp(a + start, b + start, end - start) == 0;
}

static void
tree_row(dfx_table *table, const branch *b, const char *elbow,
         const char *label, size_t label_size)
{
    const dfx_tensor *t = b->first->tensor;
    bool is_leaf = b->first == b->last;
    char human[DFX_HUMAN_CHARS], shape[128] = "";
    uint64_t bytes = 0;

    for (const dfx_chosen *c = b->first; c <= b->last; c++)
        bytes += dfx_stored_bytes(c->tensor);
    if (is_leaf)
        dfx_shape_print(t->shape, t->rank, shape, sizeof shape);
    dfx_table_cellf(table, "%s%s%.*s", b->lines, elbow, (int)label_size, label);
    dfx_table_u64(table, (uint64_t)(b->last - b->first) + 1);
    dfx_table_cell(table, dfx_human_bytes(bytes, human));
    dfx_table_cell(table, is_leaf ? dfx_stored_type(t) : "");
    dfx_table_cell(table, shape);
}

/* Recursion ends at MAX_LEVELS. */
static void
grow_tree(dfx_table *table, const branch *parent, size_t level,
          size_t max_level)
{
    const dfx_chosen *next;

    for (const dfx_chosen *c = parent->first; c <= parent->last; c = next) {
        branch b = {.first = c, .last = c, .start = parent->start};
        bool is_itself = strlen(c->name) < b.start; /* "a" beside "a.b" */
        size_t end = is_itself ? b.start : part_end(c->name, b.start);
        bool is_last;

        while (!is_itself && b.last < parent->last &&
               is_alike(c->name, b.last[1].name, b.start))
            b.last++;
        next = b.last + 1;
        is_last = next > parent->last;
        /* What has one child only shares its line. */
        while (!is_itself && c->name[end] != '\0' &&
               is_alike(c->name, b.last->name, end + 1))
            end = part_end(c->name, end + 1);
        memcpy(b.lines, parent->lines, sizeof b.lines);
        tree_row(table, &b, level == 0 ? "" : (is_last ? "└─ " : "├─ "),
                 is_itself ? "(itself)" : c->name + b.start,
                 is_itself ? strlen("(itself)") : end - b.start);
        if (b.first == b.last || level + 1 >= max_level)
            continue;
        if (level > 0)
            strcat(b.lines, is_last ? "   " : "│  ");
        b.start = end + 1;
        grow_tree(table, &b, level + 1, max_level);
    }
}

void
dfx_print_tree(const dfx_inspect *asked, const dfx_choice *choice)
{
    branch root = {.first = choice->items,
                   .last = choice->items + choice->count - 1};
    size_t levels = asked->depth > 0 && asked->depth < MAX_LEVELS ? asked->depth
                                                                  : MAX_LEVELS;
    dfx_table table;

    dfx_table_init(&table, "lrrll");
    dfx_table_cell(&table, "NAME");
    dfx_table_cell(&table, "TENSORS");
    dfx_table_cell(&table, "SIZE");
    dfx_table_cell(&table, "TYPE");
    dfx_table_cell(&table, "SHAPE");
    if (choice->count > 0)
        grow_tree(&table, &root, 0, levels);
    dfx_table_print(&table, stdout, 0, &asked->colours);
    dfx_table_fini(&table);
}
