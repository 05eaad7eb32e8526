/*
 * unicode.h - text as the tokenizers see it: normalised, and in classes
 */
#ifndef DFX_UNICODE_H
#define DFX_UNICODE_H

#include "memory.h"

/*
 * Appends text in CLIP's normal form: NFC, each run of white space one space,
 * lower case (the full mapping of each character alone: a final sigma is a
 * sigma). text is valid UTF-8. n log n, whatever marks are piled up. False if
 * memory ran out.
 */
DFX_CHECKED bool dfx_unicode_normalize(const char *text, size_t size,
                                       dfx_text *out);

typedef enum dfx_unicode_class {
    DFX_UNICODE_SPACE,
    DFX_UNICODE_LETTER, /* \p{L} */
    DFX_UNICODE_NUMBER, /* \p{N} */
    DFX_UNICODE_OTHER,  /* marks, signs, what is not assigned */
} dfx_unicode_class;

/* Of the character that valid UTF-8 starts with (size > 0), and its bytes. */
dfx_unicode_class dfx_unicode_classify(const char *text, size_t size,
                                       size_t *bytes);

/* As UTF-8; returns its bytes. */
size_t dfx_unicode_put(uint32_t code, char text[4]);

#endif
