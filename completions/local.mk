# Made from --help by completion.awk; tests/tools/options.sh says when anew.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = \
	completions/bash/dfx-convert \
	completions/bash/dfx-inspect
zshcompletiondir = $(datadir)/zsh/site-functions
dist_zshcompletion_DATA = \
	completions/zsh/_dfx-convert \
	completions/zsh/_dfx-inspect
fishcompletiondir = $(datadir)/fish/vendor_completions.d
dist_fishcompletion_DATA = \
	completions/fish/dfx-convert.fish \
	completions/fish/dfx-inspect.fish
EXTRA_DIST += completions/completion.awk
