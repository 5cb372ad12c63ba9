/* assets.h — the files of reports/ that a report is made of, carried inside the program. */
#ifndef ASSETS_H
#define ASSETS_H

struct asset {
    const char *name, *content;
};
extern const struct asset report_scripts[]; /* gnuplot scripts; ends with a NULL name */
extern const char page_css[] __attribute__((visibility("hidden")));

#endif
