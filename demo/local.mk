DIST_FOLDERS += demo/model demo/golden
EXTRA_DIST += demo/README.md demo/check.py demo/demo.sh demo/make_golden.py \
	demo/rows.py demo/shapes.py demo/sheet.png demo/single.rows.json \
	demo/single.sha256 demo/train.py

demo: all
	@PATH="$(abs_builddir):$$PATH" $(SHELL) $(srcdir)/demo/demo.sh \
	    $(srcdir)/demo demo-out
