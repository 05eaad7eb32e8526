/*
 * markup.c - what pages and XML files of the tools share
 *
 * Pages have no scripts and nothing from elsewhere: they can be kept beside a
 * model and opened in ten years.
 */
#include <config.h>

#include "markup.h"

#include <string.h>

static const char style[] =
    ":root{--ink:#1c2430;--soft:#66707f;--line:#d9dee6;--back:#fff;"
    "--card:#f5f7fa;--c0:#2f6fb3;--c1:#d9822b;--c2:#3a9a5b;--c3:#a6519b;"
    "--c4:#c2413b;--c5:#2a9aa3;--c6:#8a7430;--c7:#6a6fc9}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b2;"
    "--line:#39424f;--back:#15191f;--card:#1e242c;--c0:#6aa5e3;--c1:#eda458;"
    "--c2:#67c387;--c3:#cf86c6;--c4:#ea7a74;--c5:#5fc5cd;--c6:#c4ad62;"
    "--c7:#9da1ee}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);"
    "background:var(--back);max-width:1000px;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.4rem;margin:0;overflow-wrap:anywhere}"
    "h2{font-size:1.05rem;margin:2rem 0 .4rem}"
    "p{margin:.2rem 0;color:var(--soft)}"
    ".cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.2rem 0}"
    ".cards div{background:var(--card);border-radius:8px;padding:.6rem 1rem}"
    ".cards b{display:block;font-size:1.3rem}"
    "table{border-collapse:collapse;width:100%;"
    "font-variant-numeric:tabular-nums}"
    "th,td{padding:.2rem .5rem;border-bottom:1px solid var(--line);"
    "text-align:right;white-space:nowrap}"
    "th{color:var(--soft);font-weight:600}"
    "td:first-child,th:first-child{text-align:left;white-space:normal;"
    "overflow-wrap:anywhere}"
    "svg{width:100%;height:auto;display:block}"
    "text{font:12px system-ui,sans-serif;fill:var(--soft)}"
    ".grid{stroke:var(--line)}.before{fill:var(--soft);opacity:.35}"
    ".key{display:inline-block;margin-right:1.2rem;color:var(--soft)}"
    ".key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;"
    "margin-right:.4em}"
    ".pair{display:flex;flex-wrap:wrap;gap:1rem}"
    ".pair figure{margin:0;flex:1 1 256px}"
    ".pair img{width:100%;image-rendering:auto;border-radius:8px}"
    "summary{cursor:pointer;color:var(--soft);margin-top:1rem}";

void
dfx_markup_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == 0x7f || strchr("<>&\"'", c) != NULL)
            fprintf(out, "&#%u;", c < 0x20 || c == 0x7f ? 0xfffdU : c);
        else
            putc(c, out);
    }
}

void
dfx_markup_head(FILE *out, const char *title)
{
    fprintf(out,
            "<!doctype html>\n<html lang=en><meta charset=utf-8>\n"
            "<meta name=viewport content=\"width=device-width\">\n<title>");
    dfx_markup_text(out, title);
    fprintf(out, "</title>\n<style>%s</style>\n<h1>", style);
    dfx_markup_text(out, title);
    fprintf(out, "</h1>\n");
}

void
dfx_markup_card(FILE *out, const char *value, const char *what)
{
    fprintf(out, "<div><b>%s</b>%s</div>\n", value, what);
}
