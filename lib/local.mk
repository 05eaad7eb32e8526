# The whole library, all its names visible: tests link to this.
noinst_LTLIBRARIES += lib/libdfxcore.la
DFX_LIBS = $(CJSON_LIBS) $(ZSTD_LIBS) $(YAML_LIBS) $(CRYPTO_LIBS) \
	$(ZLIB_LIBS) $(DEFLATE_LIBS) $(PNG_LIBS) $(UTF8PROC_LIBS) -lm
lib_libdfxcore_la_LIBADD = $(DFX_LIBS)
lib_libdfxcore_la_SOURCES = \
	lib/include/dfx.h \
	lib/architecture.h \
	lib/audit.c lib/audit.h \
	lib/budget.c \
	lib/bundle.c lib/bundle.h \
	lib/cast.c lib/cast.h \
	lib/cast_lanes.h \
	lib/cast_ref.c \
	lib/choose.c \
	lib/compress.c lib/compress.h \
	lib/configs.h \
	lib/content.c lib/content.h \
	lib/convert.c lib/convert.h \
	lib/cpu.c lib/cpu.h \
	lib/crc.c lib/crc.h \
	lib/describe.c \
	lib/digest.c lib/digest.h \
	lib/document.c lib/document.h \
	lib/encoding.c lib/encoding.h \
	lib/error.c lib/error.h \
	lib/exec.c \
	lib/expr.c lib/expr.h \
	lib/facts.c \
	lib/fields.c lib/fields.h \
	lib/find.c \
	lib/floats.def \
	lib/form.c lib/form.h \
	lib/graft.c \
	lib/identify.c lib/identify.h \
	lib/identity.c \
	lib/importance.c lib/importance.h \
	lib/index.c lib/index.h \
	lib/io.c lib/io.h \
	lib/io_checked.c lib/io_kind.h lib/io_strided.c \
	lib/json.c lib/json.h \
	lib/leftovers.c \
	lib/measure.c lib/measure.h \
	lib/memory.c lib/memory.h \
	lib/models.c \
	lib/naming.c \
	lib/open.c \
	lib/out.c lib/out.h \
	lib/parts.c \
	lib/place.c lib/place.h \
	lib/plan.c lib/plan.h \
	lib/recipe.c \
	lib/registry.h \
	lib/residue.c \
	lib/residue_file.c \
	lib/rules.c lib/rules.def lib/rules.h \
	lib/scope.h \
	lib/spool.c lib/spool.h \
	lib/sums.c lib/sums.h \
	lib/target.c lib/target.h \
	lib/blocks.c lib/blocks.h \
	lib/codecs/codec.c lib/codecs/codec.h lib/codecs/codecs.def \
	lib/codecs/codecs_lanes.h lib/codecs/decode_lanes.h \
	lib/codecs/fp4.c lib/codecs/fp4.h lib/codecs/fp4_lanes.h \
	lib/codecs/grids.c lib/codecs/grids.def \
	lib/codecs/grids.h lib/codecs/half.h \
	lib/codecs/hull.c lib/codecs/hull.h \
	lib/codecs/iq.c lib/codecs/iq.def lib/codecs/iq_block.h \
	lib/codecs/iq_lanes.h lib/codecs/hull_lanes.h \
	lib/codecs/iq4.c \
	lib/codecs/iq4_lanes.h lib/codecs/iq_encode.c \
	lib/codecs/kquants.c lib/codecs/kquants.h lib/codecs/kquants_encode.c \
	lib/codecs/kquants_lanes.h lib/codecs/lanes.h \
	lib/codecs/lanes_avx2.h lib/codecs/lanes_avx512.h \
	lib/codecs/legacy.c lib/codecs/legacy_lanes.h \
	lib/codecs/numbers.h lib/codecs/scales.h \
	lib/codecs/scales_lanes.h \
	lib/codecs/search.c lib/codecs/search.h lib/codecs/search_lanes.h \
	lib/codecs/ternary.c \
	lib/types.c lib/types.def lib/types.h \
	lib/verify.c \
	lib/unjoin.c \
	lib/version.c \
	lib/view.c \
	lib/wishes.c lib/wishes.h \
	lib/written.c lib/written.h

# A SIMD level is a library of its own because it has flags of its own.
if X86_SIMD
noinst_LTLIBRARIES += lib/libavx2.la lib/libavx512.la
lib_libavx2_la_SOURCES = lib/cast_avx2.c lib/codecs/codecs_avx2.c
lib_libavx2_la_CFLAGS = $(AM_CFLAGS) -mavx2 -mf16c -mfma
lib_libavx512_la_SOURCES = lib/cast_avx512.c lib/codecs/codecs_avx512.c
lib_libavx512_la_CFLAGS = $(AM_CFLAGS) -mavx512f -mavx512bw -mavx512dq \
	-mavx512vl -mf16c
lib_libdfxcore_la_LIBADD += lib/libavx2.la lib/libavx512.la
endif

include_HEADERS = lib/include/dfx.h

# What is installed: only the names in libdfx.map leave it.
lib_LTLIBRARIES += lib/libdfx.la
lib_libdfx_la_SOURCES =
lib_libdfx_la_LIBADD = lib/libdfxcore.la
# current:revision:age. Code changed: revision+1. Interface added: current+1,
# revision=0, age+1. Interface changed or removed: current+1, the others 0.
lib_libdfx_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined
if HAVE_MAP
lib_libdfx_la_LDFLAGS += -Wl,--version-script=$(srcdir)/lib/libdfx.map
endif
EXTRA_lib_libdfx_la_DEPENDENCIES = lib/libdfx.map
EXTRA_DIST += lib/libdfx.map lib/codecs/grids.py

pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = lib/libdfx.pc
