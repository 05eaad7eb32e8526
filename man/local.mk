dist_man_MANS += \
	man/dfx-convert.1 \
	man/dfx-dduf.1 \
	man/dfx-families.5 \
	man/dfx-formats.5 \
	man/dfx-inspect.1 \
	man/dfx-quant.1 \
	man/dfx-run.1 \
	man/dfx.7 \
	man/libdfx.3
