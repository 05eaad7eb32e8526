include formats/list.am

lib_libdfxcore_la_SOURCES += formats/registry.c \
	formats/architectures.c \
	formats/dduf.h formats/dduf_archive.c formats/dduf_rules.c formats/dduf_write.c \
	formats/forms/bitsandbytes.h formats/forms/bitsandbytes_write.c \
	formats/forms/comfy.h formats/forms/comfy_write.c \
	formats/forms/quanto.h formats/forms/quanto_write.c \
	formats/folder.h formats/folder_audit.c formats/folder_kinds.def \
	formats/folder_parts.c formats/folder_scan.c \
	formats/folder_weights.c formats/folder_write.c \
	formats/denied.def formats/globals.def formats/opcodes.def \
	formats/gguf.h formats/gguf_parse.c formats/gguf_write.c \
	formats/pickle.c formats/pickle.h formats/pickle_machine.h \
	formats/pickle_names.c formats/pickle_ops.c formats/pickle_stack.c \
	formats/pickle_stream.c \
	formats/python2.def \
	formats/zip.c formats/zip.h formats/zip_parse.h \
	formats/zip_local.c formats/zip_open.c formats/zip_write.c \
	formats/torch.h formats/torch_find.c formats/torch_legacy.c \
	formats/torch_load.c formats/torch_tar.c formats/torch_write.c \
	formats/torch_zip.c \
	formats/documents/compose.c formats/documents/compose.h \
	formats/documents/configs.c \
	formats/documents/overlay.c \
	formats/documents/setting.c \
	formats/documents/stored.c \
	formats/documents/yaml.c \
	formats/families/known.c formats/families/known.h \
	formats/families/pipelines.c \
	formats/families/clip.h \
	formats/families/openclip.h \
	formats/families/controlnet_ldm.h \
	formats/families/unet_ldm.h
nodist_lib_libdfxcore_la_SOURCES = formats/registry.inc

# The line that compiles a format or a kind is the line that registers it.
formats/registry.inc: $(srcdir)/formats/list.am $(srcdir)/formats/registry.sed
	$(AM_V_GEN)$(MKDIR_P) formats && \
	sed -n -f $(srcdir)/formats/registry.sed $(srcdir)/formats/list.am \
	    >$@.$$$$ && mv $@.$$$$ $@
formats/registry.lo: formats/registry.inc
CLEANFILES += formats/registry.inc
EXTRA_DIST += formats/registry.sed

# The configs: files in folders, packed into one array by a program of ours.
noinst_PROGRAMS += formats/configs/pack
formats_configs_pack_SOURCES = formats/configs/pack.c
formats_configs_pack_CPPFLAGS =
formats_configs_pack_LDADD = $(ZSTD_LIBS)
lib_libdfxcore_la_SOURCES += formats/configs/packed.c
nodist_lib_libdfxcore_la_SOURCES += formats/configs/packed.inc
CONFIG_FILES_PACKED = $(wildcard $(srcdir)/formats/configs/*/* \
	$(srcdir)/formats/configs/*/*/*)
formats/configs/packed.inc: formats/configs/pack$(EXEEXT) \
		$(CONFIG_FILES_PACKED)
	$(AM_V_GEN)formats/configs/pack$(EXEEXT) $(srcdir)/formats/configs \
	    >$@.$$$$ && mv $@.$$$$ $@ # "make -j all bench" makes it twice
formats/configs/packed.lo: formats/configs/packed.inc
CLEANFILES += formats/configs/packed.inc
EXTRA_DIST += formats/configs/README.md
DIST_FOLDERS += $(patsubst $(srcdir)/%/,%, \
	$(sort $(wildcard $(srcdir)/formats/configs/*/)))
