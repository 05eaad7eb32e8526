bin_PROGRAMS += dfx-convert dfx-inspect
dfx_convert_SOURCES = tools/dfx_convert.c
dfx_convert_LDADD = lib/libdfx.la
dfx_inspect_SOURCES = tools/dfx_inspect.c
dfx_inspect_LDADD = lib/libdfx.la
