# list.am to registry.inc: the line that compiles a file is its registration.
s,^lib.*= formats/\([a-z0-9_]*\)\.c *$,DFX_FORMAT(\1),p
s,^lib.*= formats/families/\([a-z0-9_]*\)\.c *$,DFX_KIND(\1),p
s,^lib.*= formats/forms/\([a-z0-9_]*\)\.c *$,DFX_FORM(\1),p
