/* report.c — see report.h. */
#include "report/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

bool report_file(const struct report *r, const char *name, const struct text *content,
                 struct err *err)
{
    char *path = xprintf("%s/%s", r->folder, name);
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(text_str(content), 1, content->length, f) == content->length;
    if (f)
        good = fclose(f) == 0 && good;
    if (!good)
        err_set(err, "cannot write '%s': %s", path, strerror(errno));
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

bool report_write(struct report *r, const char *folder, struct err *err)
{
    r->folder = xstrdup(folder);
    if (!path_make_folders(folder, err) || !report_data(r, err))
        return false;
    report_plot(r);
    return report_page(r, err) && report_markdown(r, err);
}
