/*
 * version.c - which release this is
 */
#include <config.h>

#include "dfx.h"

const char *
dfx_version(void)
{
    return PACKAGE_VERSION;
}
