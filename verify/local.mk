# The runner, which proves conversions by their results: on formats and lib.
lib_libdfxcore_la_SOURCES += \
	verify/elementary.h \
	verify/philox.c \
	verify/rng.c verify/rng.h \
	verify/schedulers/ddpm.c \
	verify/schedulers/euler.c \
	verify/schedulers/kind.h \
	verify/schedulers/scheduler.c verify/schedulers/scheduler.h \
	verify/schedulers/sigmas.c \
	verify/schedulers/steps.c \
	verify/schedulers/tables.c
