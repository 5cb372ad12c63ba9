/* embed.h — a text file as a string constant: EMBED(page_css, "reports/page.css") in one .c
 * file. The path counts from the root of the source tree, where make runs; the Makefile must
 * name the file as a prerequisite of the object. (C23 has #embed; our compilers do not yet.) */
#ifndef EMBED_H
#define EMBED_H

#define EMBED(name, path)                                \
    __asm__(                                             \
        ".pushsection .rodata\n"                         \
        ".global " #name "\n.hidden " #name "\n" #name   \
        ":\n"                                            \
        ".incbin \"" path "\"\n.byte 0\n.popsection\n"); \
    extern const char name[] __attribute__((visibility("hidden")))

#endif
