/* report.c — see report.h. */
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "report/samples.h"

bool report_file(const struct report *r, const char *name, const struct text *content,
                 struct err *err)
{
    char *path = xprintf("%s/%s", r->folder, name);
    FILE *f = path_create(path, err);
    if (f)
        (void)fwrite(text_str(content), 1, content->length, f);
    const bool good = f && path_close(f, path, err);
    free(path);
    return good;
}

char *report_default_folder(void)
{
    char *tree = path_source_tree();
    char *path = tree ? xprintf("%s/reports/out", tree) : xstrdup("reports/out");
    free(tree);
    return path;
}

static bool write_maps(const struct report *r, const struct report_run *run, struct err *err)
{
    bool good = true;
    for (int k = 0; good && k < run->samples_count; k++) {
        struct text svg = {0};
        char name[SAMPLES_NAME], file[SAMPLES_NAME + 8];
        snprintf(file, sizeof file, "%s.svg", samples_name(run->row.id, k, name));
        if (attention_svg(&run->samples[k], true, &svg))
            good = report_file(r, file, &svg, err);
        text_release(&svg);
    }
    return good;
}

bool report_maps(const struct report *r, struct err *err)
{
    int runs = 0;
    bool good = true;
    for (int i = 0; good && i < r->runs_count && runs < REPORT_SAID; i++) {
        runs += r->runs[i].samples_count > 0;
        good = write_maps(r, &r->runs[i], err);
    }
    return good;
}

bool report_write(struct report *r, const char *folder, struct err *err)
{
    r->folder = xstrdup(folder);
    if (!path_make_folders(folder, err) || !report_data(r, err) || !report_maps(r, err))
        return false;
    report_plot(r);
    return report_page(r, err) && report_markdown(r, err);
}
