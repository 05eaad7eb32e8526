# The runner, which proves conversions by their results: on formats and lib.
lib_libdfxcore_la_SOURCES += \
	verify/elementary.h \
	verify/philox.c \
	verify/picture.c verify/picture.h verify/picture_png.c \
	verify/picture_resize.c \
	verify/rng.c verify/rng.h \
	verify/schedulers/a1111.c \
	verify/schedulers/ddpm.c \
	verify/schedulers/deis.c \
	verify/schedulers/dpm.c \
	verify/schedulers/edm.c \
	verify/schedulers/euler.c \
	verify/schedulers/flow.c \
	verify/schedulers/kdpm2.c \
	verify/schedulers/kind.h \
	verify/schedulers/lcm.c \
	verify/schedulers/pndm.c \
	verify/schedulers/schedule.c \
	verify/schedulers/scheduler.c verify/schedulers/scheduler.h \
	verify/schedulers/sigmas.c \
	verify/schedulers/solver.c \
	verify/schedulers/steps.c \
	verify/schedulers/tables.c \
	verify/schedulers/unipc.c \
	verify/similarity.c verify/similarity.h \
	verify/textual_inversion.c verify/textual_inversion.h \
	verify/tokenizers/bpe.c verify/tokenizers/bpe.h \
	verify/tokenizers/clip_bpe.c verify/tokenizers/clip_bpe.h \
	verify/tokenizers/unicode.c verify/tokenizers/unicode.h

# Networks, and the operations that they are made of.
lib_libdfxcore_la_SOURCES += \
	verify/backend.h \
	verify/cpu/cpu.c \
	verify/cpu/elementary.h \
	verify/cpu/norm.h \
	verify/cpu/panel.h \
	verify/cpu/pointwise.h \
	verify/cpu/product.h \
	verify/cpu/ref.c \
	verify/cpu/rows.h \
	verify/cpu/table.h \
	verify/cpu/weight.h \
	verify/distance.c \
	verify/golden.c \
	verify/golden_file.c verify/golden.h \
	verify/layers.c \
	verify/lora.c verify/lora.h verify/lora_names.c \
	verify/model.c verify/model.h \
	verify/net.c verify/net.h \
	verify/nets/clip_text.c verify/nets/clip_text.h \
	verify/nets/controlnet.c verify/nets/controlnet.h \
	verify/nets/resnet.c verify/nets/resnet.h \
	verify/nets/timestep.c verify/nets/timestep.h \
	verify/nets/transformer.c verify/nets/transformer.h \
	verify/nets/unet.c verify/nets/unet.h verify/nets/unet_config.c \
	verify/nets/unet_half.c verify/nets/unet_half.h \
	verify/nets/vae_kl.c verify/nets/vae_kl.h \
	verify/nets/vae_tiled.c verify/nets/vae_tiled.h \
	verify/nets/vae_tiny.c verify/nets/vae_tiny.h \
	verify/pipelines/autoencoder.c verify/pipelines/autoencoder.h \
	verify/pipelines/conditions.c \
	verify/pipelines/denoiser.c verify/pipelines/denoiser.h \
	verify/pipelines/image.c \
	verify/pipelines/inputs.c \
	verify/pipelines/noise.c verify/pipelines/noise.h \
	verify/pipelines/picture_input.c verify/pipelines/picture_input.h \
	verify/pipelines/picture_output.c \
	verify/pipelines/run.h \
	verify/pipelines/start.c \
	verify/pipelines/text.c verify/pipelines/text.h \
	verify/settings.c verify/settings.h \
	verify/stages.c \
	verify/values.c verify/values.h \
	verify/weights.c verify/weights.h

if X86_SIMD
lib_libavx2_la_SOURCES += verify/cpu/avx2.c
lib_libavx512_la_SOURCES += verify/cpu/avx512.c
endif
