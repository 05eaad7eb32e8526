# The runner, which proves conversions by their results: on formats and lib.
lib_libdfxcore_la_SOURCES += \
	verify/elementary.h \
	verify/philox.c \
	verify/rng.c verify/rng.h
