# Made from --help: "make completions" after a change of options.def, which
# tests/tools/options.sh demands.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = \
	completions/bash/dfx-convert \
	completions/bash/dfx-dduf \
	completions/bash/dfx-inspect \
	completions/bash/dfx-quant \
	completions/bash/dfx-run
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = \
	completions/zsh/_dfx-convert \
	completions/zsh/_dfx-dduf \
	completions/zsh/_dfx-inspect \
	completions/zsh/_dfx-quant \
	completions/zsh/_dfx-run
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_fishcompletion_DATA = \
	completions/fish/dfx-convert.fish \
	completions/fish/dfx-dduf.fish \
	completions/fish/dfx-inspect.fish \
	completions/fish/dfx-quant.fish \
	completions/fish/dfx-run.fish
EXTRA_DIST += completions/completion.awk

COMPLETE = $(AWK) -f $(srcdir)/completions/completion.awk -v tool=$$tool
.PHONY: completions
completions: dfx-convert dfx-dduf dfx-inspect dfx-quant dfx-run
	for tool in dfx-convert dfx-dduf dfx-inspect dfx-quant dfx-run; do \
	    to=$(srcdir)/completions; \
	    ./$$tool --help | $(COMPLETE) -v shell=bash >$$to/bash/$$tool; \
	    ./$$tool --help | $(COMPLETE) -v shell=zsh >$$to/zsh/_$$tool; \
	    ./$$tool --help | $(COMPLETE) -v shell=fish >$$to/fish/$$tool.fish; \
	done
