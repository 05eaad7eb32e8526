/*
 * fuzz_imatrix.c - any bytes as an importance matrix of the older form
 *
 * Every importance is a number above 0.
 */
#include <config.h>

#include "dfx.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const dfx_open_options as_dat = {.format = "imatrix"};
    const char *path = fuzz_file(data, size);
    dfx_imatrix *imatrix = NULL;
    dfx_error err = {0};

    if (dfx_imatrix_open(path, &as_dat, &imatrix, &err) != DFX_OK)
        REQUIRE(err.rule[0] != '\0' && err.text[0] != '\0');
    dfx_imatrix_free(imatrix);
    return 0;
}
