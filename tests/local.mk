LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
TEST_EXTENSIONS = .sh
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(SHELL)
# The tools just built come first; tests run in the build folder. Some compile.
AM_TESTS_ENVIRONMENT = \
	srcdir='$(abs_srcdir)'; builddir='$(abs_builddir)'; \
	PATH="$(abs_builddir):$$PATH"; LC_ALL=C; OMP_NUM_THREADS=2; \
	CC='$(CC)'; CPPFLAGS='-I. $(AM_CPPFLAGS) $(CPPFLAGS)'; \
	CFLAGS='$(AM_CFLAGS) $(CFLAGS)'; LDFLAGS='$(AM_LDFLAGS) $(LDFLAGS)'; \
	LIBS='$(DFX_LIBS) $(LIBS)'; \
	export srcdir builddir PATH LC_ALL OMP_NUM_THREADS; \
	export CC CPPFLAGS CFLAGS LDFLAGS LIBS;

noinst_HEADERS = \
	tests/unit/tap.h

# Each is built from the .c of its name and linked to the whole library.
check_PROGRAMS += \
	tests/unit/test_document

dist_check_SCRIPTS = \
	tests/tools/add_family.sh \
	tests/tools/add_format.sh \
	tests/tools/demo.sh \
	tests/tools/headers.sh \
	tests/tools/lists.sh \
	tests/tools/symbols.sh

TESTS = $(check_PROGRAMS) $(dist_check_SCRIPTS)
DIST_FOLDERS += tests/added
DIST_FOLDERS += $(patsubst $(srcdir)/%/,%, \
	$(sort $(wildcard $(srcdir)/tests/golden/*/)))
