/* run_show.c — see run_show.h. */
#define _POSIX_C_SOURCE 200809L
#include "cli/run_show.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"
#include "report/format.h"

static int columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : 80;
}

static void clear(struct run_show *s)
{
    if (s->moving && s->width)
        fprintf(stderr, "\r%*s\r", s->width, "");
    s->width = 0;
}

__attribute__((format(printf, 2, 3))) static void move(struct run_show *s, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    const int room = columns() - 1;
    const int length = (int)strlen(line) < room ? (int)strlen(line) : room;
    fprintf(stderr, "\r%.*s%*s", length, line, s->width > length ? s->width - length : 0, "");
    fflush(stderr);
    s->width = length;
}

static const char *duration(double s, char text[32])
{
    if (!isfinite(s))
        return "?";
    if (s < 60)
        snprintf(text, 32, "%.0f s", ceil(s));
    else
        snprintf(text, 32, "%d min %02d s", (int)s / 60, (int)s % 60);
    return text;
}

static const char *rate(double samples_per_s, char text[32])
{
    if (!isfinite(samples_per_s))
        return "- samples/s";
    const char *const unit = samples_per_s >= 1e4 ? "k samples/s" : " samples/s";
    snprintf(text, 32, "%.1f%s", samples_per_s >= 1e4 ? samples_per_s / 1e3 : samples_per_s, unit);
    return text;
}

int run_exit_status(const struct run_end *end)
{
    switch (end->status) {
    case RUN_OK: return end->target_missed ? EXIT_QUALITY : EXIT_OK;
    case RUN_REFUSED: return EXIT_PLUGIN;
    case RUN_INTERRUPTED: return EXIT_INTERRUPTED;
    default: return end->exit_code == EXIT_USAGE ? EXIT_USAGE : EXIT_BENCH_FAILED;
    }
}

void run_show_begin(struct run_show *s, const char *plugin, const char *variant)
{
    *s = (struct run_show){.moving = isatty(STDERR_FILENO) != 0, .quiet = global.quiet};
    snprintf(s->title, sizeof s->title, "%s%s%s", plugin, variant ? ":" : "",
             variant ? variant : "");
    if (s->moving && !s->quiet)
        move(s, "%s  starting", s->title);
}

/* Only before the plan: afterwards a run shows its steps. */
void run_show_phase(struct run_show *s, const char *phase)
{
    if (s->moving && !s->quiet && !s->planned)
        move(s, "%s  %s", s->title, phase);
}

void run_show_plan(struct run_show *s, const struct run_plan *p)
{
    snprintf(s->title, sizeof s->title, "%s:%s", p->plugin, p->variant);
    s->epochs = p->epochs;
    s->planned = true;
    if (s->quiet)
        return;
    clear(s);
    char macs[FORMAT_TEXT];
    fprintf(stderr,
            "%s  %.0f parameters, %s MACs a sample, batch %d, %s, %d thread%s, %.1f MB planned\n"
            "  on %s%s",
            s->title, p->params, format_si(p->macs, macs), p->batch, p->isa, p->threads,
            p->threads == 1 ? "" : "s", (double)p->peak_bytes / 1e6, p->dataset,
            p->synthetic ? " (synthetic: drawn, not real data)" : "");
    if (p->train_items)
        fprintf(stderr, ": %zu training and %zu test items\n", p->train_items, p->test_items);
    else
        fprintf(stderr, ": timing only, no accuracy\n");
    for (const char *line = p->dataset_notes; *line;) {
        const int n = (int)strcspn(line, "\n");
        fprintf(stderr, "  %.*s\n", n, line);
        line += n + (line[n] == '\n');
    }
}

void run_show_progress(struct run_show *s, const struct run_progress *p)
{
    if (s->quiet || !s->moving)
        return;
    char eta[32], speed[32], accuracy[32] = "";
    if (isfinite(p->accuracy))
        snprintf(accuracy, sizeof accuracy, "  accuracy %.1f %%", p->accuracy);
    move(s, "  epoch %d/%d  step %lld  loss %.4f%s  %s  %s left", p->epoch + 1, s->epochs, p->step,
         p->loss, accuracy, rate(p->samples_per_s, speed), duration(p->eta_s, eta));
}

void run_show_epoch(struct run_show *s, const struct run_epoch *e)
{
    if (s->quiet)
        return;
    clear(s);
    char speed[32], train[FORMAT_TEXT], test[FORMAT_TEXT];
    const bool trained = e->items > 0; /* not so with --epochs 0 */
    if (trained)
        fprintf(stderr, "  epoch %2d/%d  loss %.4f", e->epoch, s->epochs, e->train_loss);
    else
        fprintf(stderr, "  untrained");
    for (int i = 0; i < e->metrics; i++)
        if (isfinite(e->train[i].value) && strcmp(e->test[i].name, "loss") == 0) /* said above */
            fprintf(stderr, " train %s test",
                    format_metric(e->test[i].name, e->test[i].value, test));
        else if (isfinite(e->train[i].value))
            fprintf(stderr, "  %s %s train %s test", e->test[i].name,
                    format_metric(e->test[i].name, e->train[i].value, train),
                    format_metric(e->test[i].name, e->test[i].value, test));
        else
            fprintf(stderr, "  %s %s", e->test[i].name,
                    format_metric(e->test[i].name, e->test[i].value, test));
    const double items = trained ? (double)e->items / e->epoch : 0;
    if (trained)
        fprintf(stderr, "  %s", rate(e->train_s > 0 ? items / e->train_s : NAN, speed));
    fprintf(stderr, "  %.1f s\n", e->time_s);
}

/* Totals only, and of energy only what could be measured: nobody asked for it. */
void run_show_counter(struct run_show *s, const struct run_counter *c)
{
    const bool energy = strcmp(c->source, "rapl") == 0, counted = isfinite(c->value);
    if (s->quiet || c->layer >= 0 || (energy && !counted))
        return;
    clear(s);
    if (!counted) {
        fprintf(stderr, "  %-20s –  %s\n", c->event, c->reason);
        return;
    }
    fprintf(stderr, "  %-20s %.6g%s a step (%s", c->event, c->value / (double)c->steps,
            energy ? " J" : "", c->source);
    if (c->running_ns < c->enabled_ns)
        fprintf(stderr, ", multiplexed: estimated from %.0f %% of the time",
                100 * (double)c->running_ns / (double)c->enabled_ns);
    fprintf(stderr, ")\n");
}

void run_show_end(struct run_show *s, const struct run_end *e)
{
    clear(s);
    if (e->status != RUN_OK) {
        const char *status = run_status_name[e->status];
        const bool twice = strcmp(status, e->reason) == 0; /* "interrupted" */
        fprintf(stderr, "bench: %s: %s%s%s\n", s->title, status, twice ? "" : ": ",
                twice ? "" : e->reason);
    } else if (e->target_missed)
        fprintf(stderr, "bench: %s: target missed: %s\n", s->title, e->reason);
    else if (!s->quiet && e->reason[0])
        fprintf(stderr, "  ended: %s\n", e->reason);
    if (s->quiet)
        return;
    if (e->saved[0])
        fprintf(stderr, "  parameters: %s\n", e->saved);
    if (e->tainted[0])
        fprintf(stderr, "  tainted: %s\n", e->tainted);
    if (e->steady == RUN_UNSTEADY)
        fprintf(stderr, "  %s\n", e->unsteady);
}
