/* report.h — a folder that shows runs: one page that works offline, its Markdown twin, and for
 * each picture the gnuplot script, the data, an SVG and a PNG.
 *
 *     index.html  report.md  style.gp  words.gp
 *     loss.gp .svg .png  accuracy.gp …  runs.tsv  curves.tsv  layers_12.tsv …
 *
 * Everything is first gathered (gather.c), then written as data (data.c), drawn (plot.c), and
 * told (page.c, markdown.c). Without gnuplot there are tables and data, and the page says so. */
#ifndef REPORT_H
#define REPORT_H

#include "base/text.h"
#include "store/store.h"

enum {
    REPORT_CURVES = 12, /* runs in one picture: more cannot be told apart */
    REPORT_LAYERS = 6,  /* pictures of per-op times */
    REPORT_SAID = 12    /* runs whose samples are told */
};

enum { REPORT_COMMANDS = 50 };
struct report_run {
    struct store_row row;
    char label[2 * RUN_NAME + 32]; /* "lenet5:modern", and what else tells it from the others */
    struct store_point *points;
    struct run_layer *layers;
    struct run_metric roof[RUN_METRICS]; /* of a profile: report_roofline() */
    struct run_sample *samples;          /* what the network says */
    char *command; /* that made it; NULL: not among the first REPORT_COMMANDS, or not known */
    int points_count, layers_count, samples_count;
    double step_quantile[5]; /* ms: 1, 25, 50, 75, 99 % of warm steps; NAN without samples */
};

/* One picture: made by NAME.gp in the folder. */
struct report_picture {
    char name[32];
    char title[160], caption[768];
    bool drawn; /* NAME.svg and NAME.png are there */
};

struct report {
    char *folder;
    struct report_run *runs;
    int runs_count;
    bool all;  /* every good run, not only the newest of its kind */
    bool more; /* the selection holds more runs than are shown */
    struct report_picture *pictures;
    int pictures_count;
    struct store_fact *facts; /* of the newest run */
    int facts_count;
    int machines, builds; /* how many different ones the runs come from */
    char problem[256];    /* why there are no pictures; "" */
    char *database;
    char command[512]; /* makes this report again */
};

/* Reads all that the report tells; `rows` as store_rows() gave them. report_release() in any case.
 */
bool report_gather(struct report *r, struct store *s, const struct store_row *rows, int count,
                   struct err *err);
void report_release(struct report *r);

bool report_data(struct report *r, struct err *err);       /* .tsv, .gp and the list of pictures */
void report_plot(struct report *r);                        /* .svg and .png; or r->problem */
bool report_maps(const struct report *r, struct err *err); /* attention_ID_N.svg: samples.h */
bool report_page(const struct report *r, struct err *err);
bool report_markdown(const struct report *r, struct err *err);

/* reports/out of the source tree, or of the working directory. Malloc'ed. */
char *report_default_folder(void);

/* All of it, into `folder` (made when missing). */
bool report_write(struct report *r, const char *folder, struct err *err);

/* Helpers that they share. */
bool report_file(const struct report *r, const char *name, const struct text *content,
                 struct err *err);
struct table *report_layers_table(const struct report_run *run);
void report_label(struct text *t, const char *label); /* a quoted field of a .tsv */
void report_string(struct text *t, const char *s);    /* gnuplot's 'string' */
void report_provenance(const struct report *r, struct text *t,
                       const char *what); /* a .tsv's head */

/* roofline.c: NAME.gp and NAME.tsv with every op of a run that has roofs. */
bool report_has_roofs(const struct report_run *run);
bool report_roofline(const struct report *r, const struct report_run *run, const char *name,
                     struct err *err);

/* Reads NAME.svg of the folder and makes it fit to stand inside a page: no prologue, ids of its
 * own, a title for those who cannot see. False when there is none. */
bool svg_inline(const char *path, const char *name, const char *title, struct text *out);

#endif
