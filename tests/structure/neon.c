/* Runs the functions of one kernel module without Python.
 *
 * MODULE is the C that Cython made of the module, FILL the assignments of its table, TABLE the table's name;
 * one of PRODUCTS, SWEEPS and ROWS says what kind of module it is. Numbers come from the first file and go to
 * the second one; sizes are arguments. See test_neon.py.
 */
#include MODULE

#include <stdio.h>
#include <stdlib.h>

static FILE *in, *out;

static void *space(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (memory == NULL) exit(2);
    return memory;
}

static void *taken(size_t bytes)
{
    void *memory = space(bytes);
    if (fread(memory, 1, bytes, in) != bytes) exit(3);
    return memory;
}

static void give(const void *memory, size_t bytes)
{
    if (fwrite(memory, 1, bytes, out) != bytes) exit(4);
}

#ifdef PRODUCTS
static void products(long m, long n, long k)
{
    const size_t size = m * n * sizeof(real_t);
    const long panels = (m + MR - 1) / MR, columns = TABLE.nr;
    real_t *a = taken(m * k * sizeof(real_t)), *b = taken(k * n * sizeof(real_t)), *bias = taken(n * sizeof(real_t));
    real_t *packed_a = space(panels * MR * k * sizeof(real_t)), *packed_b = space(columns * k * sizeof(real_t));
    real_t *lines = space(n * k * sizeof(real_t)), *c = space(size), *finished = space(size);

    for (long i = 0; i < panels; i++) {
        const long rows = m - i * MR < MR ? m - i * MR : MR;
        TABLE.pack_a(rows, k, a + i * MR * k, k, 1, packed_a + i * MR * k);
    }
    for (int strided = 0; strided < 2; strided++) {
        for (long j = 0; j < n; j += columns) {
            const int width = n - j < columns ? n - j : columns;
            TABLE.pack_b(width, k, b + j, 1, n, packed_b);
            if (strided)
                TABLE.strip_strided(m, k, a, k, 1, MR * k, packed_b, columns, c + j, n, 1, width, 0);
            else
                TABLE.strip_packed(m, k, packed_a, packed_b, c + j, n, 1, width, 0);
        }
        give(c, size);
    }
    TABLE.thin(m, n, k, a, k, 1, b, n, c, n, 0);
    give(c, size);
    TABLE.lines(n, k, b, n, 1, lines);
    TABLE.dots(m, n, k, a, k, lines, k, c, n, 1, 0);
    give(c, size);
    for (size_t kind = 1; kind < sizeof(TABLE.finish) / sizeof(TABLE.finish[0]); kind++) {
        memcpy(finished, c, size);
        TABLE.finish[kind](m, n, finished, n, 1, bias, 0, 1);
        give(finished, size);
    }
}
#define RUN products(atol(argv[3]), atol(argv[4]), atol(argv[5]))
#endif

#ifdef SWEEPS
static void sweeps(long n)
{
    const size_t size = n * sizeof(real_t);
    for (int kind = 0; kind < TABLE.count; kind++) {
        real_t *x = taken(size), *y = taken(size), *z = taken(size), *result = taken(size);
        double *numbers = taken(8 * sizeof(double));
        TABLE.sweeps[kind](n, x, y, z, result, numbers);
        give(y, size), give(z, size), give(result, size);
    }
}
#define RUN sweeps(atol(argv[3]))
#endif

#ifdef ROWS
static void rows(long count, long length)
{
    const long kinds[] = {KINDS_TRIED};
    const size_t size = count * length * sizeof(real_t), stride = length * sizeof(real_t);
    real_t *x = taken(size), *weight = taken(stride), *bias = taken(stride), *result = space(size);
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        LINES lines = {.count = count, .length = length, .x = (char *) x, .out = (char *) result,
                       .x_stride = stride, .out_stride = stride, .weight = weight, .bias = bias,
                       .number = 1e-5, .centred = 1};
        TABLE.rows[kinds[kind]](&lines);
        give(result, size);
    }
}
#define RUN rows(atol(argv[3]), atol(argv[4]))
#endif

int main(int argc, char **argv)
{
    if (argc < 4 || !(in = fopen(argv[1], "rb")) || !(out = fopen(argv[2], "wb"))) return 1;
#include FILL
    RUN;
    return fclose(out) != 0;
}
