# What the tools share.
noinst_LTLIBRARIES += tools/libtools.la
tools_libtools_la_SOURCES = \
	tools/findings.c tools/findings.h \
	tools/job.c tools/job.h \
	tools/markup.c tools/markup.h \
	tools/options.c tools/options.def tools/options.h \
	tools/progress.c tools/progress.h \
	tools/report.c tools/report.h \
	tools/signals.c tools/signals.h \
	tools/source.c tools/source.h \
	tools/table.c tools/table.h

tools_libtools_la_LIBADD = $(CJSON_LIBS) -lm

bin_PROGRAMS += dfx-convert dfx-dduf dfx-inspect dfx-quant dfx-run
dfx_convert_SOURCES = tools/dfx_convert.c
dfx_convert_LDADD = tools/libtools.la lib/libdfx.la
dfx_dduf_SOURCES = tools/dfx_dduf.c
dfx_dduf_LDADD = tools/libtools.la lib/libdfx.la
dfx_inspect_SOURCES = \
	tools/dfx_inspect.c \
	tools/inspect.h \
	tools/inspect_audit.c \
	tools/inspect_diff.c \
	tools/inspect_json.c \
	tools/inspect_pickle.c \
	tools/inspect_rules.c \
	tools/inspect_sarif.c \
	tools/inspect_tensors.c \
	tools/inspect_text.c
dfx_inspect_LDADD = tools/libtools.la lib/libdfx.la
dfx_quant_SOURCES = \
	tools/dfx_quant.c \
	tools/quant.h \
	tools/quant_html.c \
	tools/quant_report.c
dfx_quant_LDADD = tools/libtools.la lib/libdfx.la
dfx_run_SOURCES = \
	tools/dfx_run.c \
	tools/run.h \
	tools/run_bench.c \
	tools/run_check.c \
	tools/run_compare.c tools/run_compare_html.c \
	tools/run_golden.c \
	tools/run_image.c \
	tools/run_stages.c
dfx_run_LDADD = tools/libtools.la lib/libdfx.la
