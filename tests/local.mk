LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
TEST_EXTENSIONS = .sh
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(SHELL)
# The tools just built come first; tests run in the build folder. Some compile.
AM_TESTS_ENVIRONMENT = \
	srcdir='$(abs_srcdir)'; builddir='$(abs_builddir)'; \
	PATH="$(TOOLS_FIRST)$(abs_builddir):$(abs_builddir)/tests/synth:$$PATH"; \
	PATH="$$PATH:$(abs_builddir)/tests/interop"; \
	LC_ALL=C; OMP_NUM_THREADS=2; \
	CC='$(CC)'; CPPFLAGS='-I. $(AM_CPPFLAGS) $(CPPFLAGS)'; \
	CFLAGS='$(AM_CFLAGS) $(CFLAGS)'; LDFLAGS='$(AM_LDFLAGS) $(LDFLAGS)'; \
	LIBS='$(DFX_LIBS) $(LIBS)'; \
	export srcdir builddir PATH LC_ALL OMP_NUM_THREADS; \
	export CC CPPFLAGS CFLAGS LDFLAGS LIBS;

noinst_HEADERS = \
	tests/fuzz/fuzz.h \
	tests/golden/golden.h \
	tests/golden/models.h \
	tests/synth/synth.h \
	tests/synth/synth_type.h \
	tests/unit/codec_rows.h \
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
EXTRA_PROGRAMS = tests/bench/codecs
CLEANFILES += tests/bench/codecs

bench: all tests/bench/codecs$(EXEEXT) tests/bench/measure$(EXEEXT) \
    tests/synth/mksynth$(EXEEXT)
	srcdir='$(srcdir)' builddir='$(builddir)' \
	    $(SHELL) $(srcdir)/tests/bench/run.sh $(BENCH)

# Each is built from the .c of its name and linked to the whole library.
check_TESTS = \
	tests/golden/test_codec_errors \
	tests/golden/test_codecs \
	tests/golden/test_dduf \
	tests/golden/test_demo \
	tests/golden/test_encodings \
	tests/golden/test_families \
	tests/golden/test_forms \
	tests/golden/test_gguf \
	tests/golden/test_importance \
	tests/golden/test_keylists \
	tests/golden/test_maps \
	tests/golden/test_nets \
	tests/golden/test_runs \
	tests/golden/test_pickle \
	tests/golden/test_pictures \
	tests/golden/test_rng \
	tests/golden/test_stages \
	tests/golden/test_safetensors \
	tests/golden/test_schedulers \
	tests/golden/test_tokenizers \
	tests/golden/test_torch \
	tests/golden/test_torch_write \
	tests/unit/test_archive \
	tests/unit/test_audit \
	tests/unit/test_backend \
	tests/unit/test_cast \
	tests/unit/test_clip_bpe \
	tests/unit/test_codec_levels \
	tests/unit/test_codecs \
	tests/unit/test_compress \
	tests/unit/test_configs \
	tests/unit/test_crc \
	tests/unit/test_digest \
	tests/unit/test_document \
	tests/unit/test_elementary \
	tests/unit/test_error \
	tests/unit/test_exec \
	tests/unit/test_expr \
	tests/unit/test_facts \
	tests/unit/test_faults \
	tests/unit/test_fields \
	tests/unit/test_folder \
	tests/unit/test_folder_audit \
	tests/unit/test_functions \
	tests/unit/test_index \
	tests/unit/test_io \
	tests/unit/test_json \
	tests/unit/test_lora \
	tests/unit/test_memory \
	tests/unit/test_net \
	tests/unit/test_open \
	tests/unit/test_out \
	tests/unit/test_picture \
	tests/unit/test_place \
	tests/unit/test_plan \
	tests/unit/test_rules \
	tests/unit/test_scheduler \
	tests/unit/test_sharded \
	tests/unit/test_distance \
	tests/unit/test_similarity \
	tests/unit/test_spool \
	tests/unit/test_strided \
	tests/unit/test_sums \
	tests/unit/test_synth \
	tests/unit/test_textual_inversion \
	tests/unit/test_torch \
	tests/unit/test_types \
	tests/unit/test_verify \
	tests/unit/test_view \
	tests/unit/test_yaml \
	tests/unit/test_zip

# Asked about the archives that are written, where it is installed.
if HAVE_LIBZIP
check_PROGRAMS += tests/interop/zipcheck
tests_interop_zipcheck_SOURCES = tests/interop/zipcheck.c
tests_interop_zipcheck_CPPFLAGS = $(LIBZIP_CFLAGS)
tests_interop_zipcheck_LDADD = $(LIBZIP_LIBS)
else
EXTRA_DIST += tests/interop/zipcheck.c
endif

# By hand, with the Python libraries.
EXTRA_DIST += tests/interop/containers_load.py tests/interop/diffusers_load.py \
	tests/interop/forms_load.py tests/interop/gguf_load.py

# What the tests of the tools share.
EXTRA_DIST += tests/tools/tap.sh
dist_check_SCRIPTS = \
	tests/tools/add_family.sh \
	tests/tools/add_format.sh \
	tests/tools/audit.sh \
	tests/tools/convert_graft.sh \
	tests/tools/convert_options.sh \
	tests/tools/convert_plan.sh \
	tests/tools/convert_target.sh \
	tests/tools/dduf.sh \
	tests/tools/dduf_kill.sh \
	tests/tools/demo.sh \
	tests/tools/disk_full.sh \
	tests/tools/examples.sh \
	tests/tools/forms.sh \
	tests/tools/gguf.sh \
	tests/tools/quant.sh \
	tests/tools/run_check.sh \
	tests/tools/headers.sh \
	tests/tools/help.sh \
	tests/tools/hostile.sh \
	tests/tools/inspect_diff.sh \
	tests/tools/inspect_hash.sh \
	tests/tools/inspect_several.sh \
	tests/tools/inspect_tensors.sh \
	tests/tools/inspect_validate.sh \
	tests/tools/json.sh \
	tests/tools/kill.sh \
	tests/tools/layers.sh \
	tests/tools/libzip.sh \
	tests/tools/lists.sh \
	tests/tools/mandoc.sh \
	tests/tools/matrix.sh \
	tests/tools/options.sh \
	tests/tools/reference_bugs.sh \
	tests/tools/rss.sh \
	tests/tools/rules.sh \
	tests/tools/run.sh \
	tests/tools/signals.sh \
	tests/tools/stdio.sh \
	tests/tools/symbols.sh \
	tests/tools/terminal.sh \
	tests/tools/usage.sh \
	tests/tools/zst.sh

check_PROGRAMS += $(check_TESTS)
TESTS = $(check_TESTS) $(dist_check_SCRIPTS)
DIST_FOLDERS += tests/added
DIST_FOLDERS += $(patsubst $(srcdir)/%/,%, \
	$(sort $(wildcard $(srcdir)/tests/golden/*/)))

# Fuzz targets: for libFuzzer, or with a driver that makes a test of each.
FUZZ_TARGETS = \
	tests/fuzz/fuzz_dduf \
	tests/fuzz/fuzz_gguf \
	tests/fuzz/fuzz_imatrix \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_map \
	tests/fuzz/fuzz_pickle \
	tests/fuzz/fuzz_safetensors \
	tests/fuzz/fuzz_scheduler \
	tests/fuzz/fuzz_sharded \
	tests/fuzz/fuzz_tokenizer \
	tests/fuzz/fuzz_torch \
	tests/fuzz/fuzz_zip
FUZZ_COMMON = tests/fuzz/fuzz.h
EXTRA_DIST += \
	tests/fuzz/fuzz_dduf.seeds \
	tests/fuzz/fuzz_gguf.seeds \
	tests/fuzz/fuzz_imatrix.seeds \
	tests/fuzz/fuzz_json.seeds \
	tests/fuzz/fuzz_map.seeds \
	tests/fuzz/make_maps.py \
	tests/fuzz/fuzz_pickle.seeds \
	tests/fuzz/fuzz_safetensors.dict \
	tests/fuzz/fuzz_safetensors.seeds \
	tests/fuzz/fuzz_scheduler.seeds \
	tests/fuzz/fuzz_sharded.seeds \
	tests/fuzz/fuzz_tokenizer.seeds \
	tests/fuzz/fuzz_torch.seeds \
	tests/fuzz/fuzz_zip.seeds \
	tests/fuzz/run.sh
DIST_FOLDERS += tests/fuzz/maps tests/fuzz/schedulers tests/fuzz/shards
DIST_FOLDERS += tests/fuzz/maps tests/fuzz/shards tests/fuzz/tokenizers
check_PROGRAMS += $(FUZZ_TARGETS)
if FUZZERS
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
else
FUZZ_LINK = $(AM_LDFLAGS)
FUZZ_COMMON += tests/fuzz/driver.c
TESTS += $(FUZZ_TARGETS)
endif
tests_fuzz_fuzz_dduf_SOURCES = tests/fuzz/fuzz_dduf.c $(FUZZ_COMMON)
tests_fuzz_fuzz_dduf_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz_gguf.c $(FUZZ_COMMON)
tests_fuzz_fuzz_gguf_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_imatrix_SOURCES = tests/fuzz/fuzz_imatrix.c $(FUZZ_COMMON)
tests_fuzz_fuzz_imatrix_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c $(FUZZ_COMMON)
tests_fuzz_fuzz_json_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_map_SOURCES = tests/fuzz/fuzz_map.c $(FUZZ_COMMON)
tests_fuzz_fuzz_map_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_pickle_SOURCES = tests/fuzz/fuzz_pickle.c $(FUZZ_COMMON)
tests_fuzz_fuzz_pickle_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_safetensors_SOURCES = \
	tests/fuzz/fuzz_safetensors.c $(FUZZ_COMMON)
tests_fuzz_fuzz_safetensors_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_scheduler_SOURCES = tests/fuzz/fuzz_scheduler.c $(FUZZ_COMMON)
tests_fuzz_fuzz_scheduler_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_sharded_SOURCES = tests/fuzz/fuzz_sharded.c $(FUZZ_COMMON)
tests_fuzz_fuzz_sharded_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_tokenizer_SOURCES = tests/fuzz/fuzz_tokenizer.c $(FUZZ_COMMON)
tests_fuzz_fuzz_tokenizer_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_torch_SOURCES = tests/fuzz/fuzz_torch.c $(FUZZ_COMMON)
tests_fuzz_fuzz_torch_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_zip_SOURCES = tests/fuzz/fuzz_zip.c $(FUZZ_COMMON)
tests_fuzz_fuzz_zip_LDFLAGS = $(FUZZ_LINK)

.PHONY: fuzz-targets
fuzz-targets: $(FUZZ_TARGETS)
if FUZZERS
fuzz: fuzz-targets
	srcdir='$(srcdir)' $(SHELL) $(srcdir)/tests/fuzz/run.sh $(FUZZ_TARGETS)
else
fuzz: # in a build of its own, by clang
	srcdir='$(srcdir)' $(SHELL) $(srcdir)/tests/fuzz/run.sh
endif

# The tests that run the tools, with the tools under valgrind. Those about time,
# memory and signals would measure valgrind, and the demo take hours.
VALGRIND = valgrind -q --leak-check=full --show-leak-kinds=definite \
	--errors-for-leak-kinds=definite --error-exitcode=99
VALGRIND_TESTS = $(filter-out %/add_family.sh %/add_format.sh %/demo.sh \
	%/disk_full.sh %/headers.sh %/kill.sh %/layers.sh %/lists.sh \
	%/mandoc.sh %/rss.sh \
	%/signals.sh %/symbols.sh %/terminal.sh,$(dist_check_SCRIPTS))
.PHONY: valgrind
valgrind: all
	@$(MKDIR_P) tests/valgrind
	@for tool in $(bin_PROGRAMS); do \
	    { echo '#!/bin/sh'; \
	      echo 'LD_LIBRARY_PATH=$(abs_builddir)/lib/.libs export LD_LIBRARY_PATH'; \
	      echo "exec $(VALGRIND) '$(abs_builddir)/.libs/$$tool' \"\$$@\""; \
	    } >tests/valgrind/$$tool && chmod +x tests/valgrind/$$tool || exit 1; \
	done
	$(MAKE) check TESTS='$(VALGRIND_TESTS)' \
	    TOOLS_FIRST='$(abs_builddir)/tests/valgrind:'
clean-local:
	rm -rf tests/valgrind demo-out
