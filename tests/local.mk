LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
TEST_EXTENSIONS = .sh
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(SHELL)
# The tools just built come first; tests run in the build folder. Some compile.
AM_TESTS_ENVIRONMENT = \
	srcdir='$(abs_srcdir)'; builddir='$(abs_builddir)'; \
	PATH="$(abs_builddir):$(abs_builddir)/tests/synth:$$PATH"; \
	LC_ALL=C; OMP_NUM_THREADS=2; \
	CC='$(CC)'; CPPFLAGS='-I. $(AM_CPPFLAGS) $(CPPFLAGS)'; \
	CFLAGS='$(AM_CFLAGS) $(CFLAGS)'; LDFLAGS='$(AM_LDFLAGS) $(LDFLAGS)'; \
	LIBS='$(DFX_LIBS) $(LIBS)'; \
	export srcdir builddir PATH LC_ALL OMP_NUM_THREADS; \
	export CC CPPFLAGS CFLAGS LDFLAGS LIBS;

noinst_HEADERS = \
	tests/synth/synth.h \
	tests/synth/synth_type.h \
	tests/unit/scratch.h \
	tests/unit/tap.h

# The generator of synthetic checkpoints, for tests and by hand.
check_LTLIBRARIES = tests/synth/libsynth.la
tests_synth_libsynth_la_SOURCES = \
	tests/synth/synth.c tests/synth/synth.h tests/synth/synth_type.h \
	tests/synth/synth_file.c tests/synth/synth_list.c
check_PROGRAMS += tests/synth/mksynth

check_PROGRAMS += tests/bench/measure
tests_bench_measure_LDADD =
dist_noinst_SCRIPTS = tests/bench/run.sh

bench: all tests/bench/measure$(EXEEXT) tests/synth/mksynth$(EXEEXT)
	srcdir='$(srcdir)' builddir='$(builddir)' \
	    $(SHELL) $(srcdir)/tests/bench/run.sh $(BENCH)
tests_unit_test_configs_LDADD = tests/synth/libsynth.la $(LDADD)
tests_golden_test_keylists_LDADD = tests/synth/libsynth.la $(LDADD)
tests_golden_test_safetensors_LDADD = tests/synth/libsynth.la $(LDADD)

# Each is built from the .c of its name and linked to the whole library.
check_TESTS = \
	tests/golden/test_families \
	tests/golden/test_keylists \
	tests/golden/test_maps \
	tests/golden/test_safetensors \
	tests/unit/test_cast \
	tests/unit/test_configs \
	tests/unit/test_digest \
	tests/unit/test_document \
	tests/unit/test_error \
	tests/unit/test_exec \
	tests/unit/test_expr \
	tests/unit/test_facts \
	tests/unit/test_folder \
	tests/unit/test_index \
	tests/unit/test_io \
	tests/unit/test_json \
	tests/unit/test_memory \
	tests/unit/test_open \
	tests/unit/test_out \
	tests/unit/test_plan \
	tests/unit/test_rules \
	tests/unit/test_sharded \
	tests/unit/test_synth \
	tests/unit/test_types \
	tests/unit/test_yaml

dist_check_SCRIPTS = \
	tests/tools/add_family.sh \
	tests/tools/add_format.sh \
	tests/tools/demo.sh \
	tests/tools/headers.sh \
	tests/tools/layers.sh \
	tests/tools/lists.sh \
	tests/tools/man.sh \
	tests/tools/symbols.sh

check_PROGRAMS += $(check_TESTS)
TESTS = $(check_TESTS) $(dist_check_SCRIPTS)
DIST_FOLDERS += tests/added
DIST_FOLDERS += $(patsubst $(srcdir)/%/,%, \
	$(sort $(wildcard $(srcdir)/tests/golden/*/)))
