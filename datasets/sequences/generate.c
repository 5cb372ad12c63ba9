/* generate.c — sequences that need no file: the same for one seed on every machine.
 *
 *     adding     T pairs (x in [0,1), mark): what do the two marked x add up to? The first mark
 *                lies in the first half, the other in the second. Always saying 1 has mean
 *                squared error 1/6. Hochreiter & Schmidhuber: Long short-term memory. 1997; in
 *                the form of Le, Jaitly, Hinton: A simple way to initialize recurrent networks
 *                of rectified linear units. 2015
 *     copy       10 symbols of eight, T - 1 blanks, a mark, 10 blanks, during which the symbols
 *                are to be said again. Blind guessing has cross entropy log 8. Hochreiter &
 *                Schmidhuber 1997; in the form of Arjovsky, Shah, Bengio: Unitary evolution
 *                recurrent neural networks. 2016, but that only the last 10 steps count
 *     addition   "74+205" -> "279", numbers of one to D digits, as in Zaremba's and Sutskever's
 *                Learning to execute. 2014
 *     reverse    "qwerty" -> "ytrewq", one to N letters
 *     dates      "5th of March 1984" -> "1984-03-05", a dozen ways of writing
 *
 * An item is for testing if sequences_twentieth() of its content is 0 (of a date: of the day,
 * however written); others are for training. Numbers come from one stream a split. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "datasets/sequences/sequences.h"
#include "datasets/sequences/translation.h"

enum {
    ITEMS = 50000,
    TEST_SHARE = 10,        /* a tenth as many for testing */
    BYTES_MOST = 128 << 20, /* fewer items where they are long */
    TRIES = 100000,         /* for an item of the wanted split */
    COPIED = 10,
    SYMBOLS = 8,
    BLANK = 0,
    MARK = SYMBOLS + 1,
};

/* Draws items into `s`: one(), until it has drawn one of that split. */
struct drawing {
    const struct sequence_task *task;
    struct sequences *s;
    struct rng r;
    void *room; /* one()'s own */
};
typedef bool draw_one(struct drawing *d, int split); /* false: it belongs to the other */

static bool is_test(const void *bytes, size_t n) { return sequences_twentieth(bytes, n) == 0; }

static bool draw_split(struct drawing *d, draw_one *one, int split, size_t items, uint64_t seed,
                       struct err *err)
{
    static const char *const name[SPLITS] = {"train", "valid", "test"};
    char stream[64];
    snprintf(stream, sizeof stream, "%s %s", d->task->kind, name[split]);
    d->r = rng_make(seed, rng_stream(stream));
    for (size_t i = 0; i < items; i++) {
        int tries = 0;
        while (!one(d, split))
            if (++tries == TRIES)
                return err_status(err, EXIT_USAGE,
                                  "task '%s' has too few different items to keep some for testing",
                                  d->task->task);
        sequences_assign(d->s, d->s->series[0].rows - 1, split);
    }
    return true;
}

/* Both splits. `bytes`: of one item. */
static bool draw_all(struct drawing *d, draw_one *one, const struct sequence_wish *w, size_t bytes,
                     struct err *err)
{
    size_t items = w->items ? w->items : ITEMS;
    if (!w->items && items * bytes > BYTES_MOST)
        items = BYTES_MOST / bytes;
    const size_t test = items / TEST_SHARE < 10 ? 10 : items / TEST_SHARE;
    d->s->name = xstrdup(d->task->task);
    return draw_split(d, one, SPLIT_TRAIN, items, w->seed, err) &&
           draw_split(d, one, SPLIT_TEST, test, w->seed, err);
}

static bool check_number(const struct sequence_task *t, long long least, long long most,
                         const char *what, struct err *err)
{
    return (t->number >= least && t->number <= most) ||
           err_status(err, EXIT_USAGE, "task '%s': expected %s:N, N %s from %lld to %lld", t->task,
                      t->kind, what, least, most);
}

/* -------------------------------------------------------------------- adding */

static bool draw_adding(struct drawing *d, int split)
{
    const size_t T = (size_t)d->task->number;
    float *v = d->room;
    for (size_t t = 0; t < T; t++) {
        v[2 * t] = (float)rng_unit(&d->r);
        v[2 * t + 1] = 0.0f;
    }
    const size_t first = rng_below(&d->r, (uint32_t)(T / 2));
    const size_t second = T / 2 + rng_below(&d->r, (uint32_t)(T - T / 2));
    v[2 * first + 1] = v[2 * second + 1] = 1.0f;
    if (is_test(v, 2 * T * sizeof *v) != (split == SPLIT_TEST))
        return false;
    const float sum = v[2 * first] + v[2 * second];
    series_add(&d->s->series[0], v, T);
    series_add(&d->s->series[1], &sum, 1);
    return true;
}

static bool open_adding(const struct sequence_task *t, const struct sequence_wish *w,
                        struct sequences *s, struct err *err)
{
    if (!check_number(t, 2, 10000, "steps", err))
        return false;
    s->series[0].width = 2;
    s->series[1].width = 1;
    sequences_add_input(s, (struct sequence_input){.name = "values", .length = "length"});
    sequences_add_input(s, (struct sequence_input){.name = "target", .series = 1, .scalar = true});
    const size_t bytes = 2 * (size_t)t->number * sizeof(float);
    struct drawing d = {.task = t, .s = s, .room = xmalloc(bytes)};
    const bool fine = draw_all(&d, draw_adding, w, bytes, err);
    free(d.room);
    return fine;
}

const struct sequence_source source_adding = {
    "adding", "adding:T: the sum of two marked numbers among T; generated", open_adding, true};

/* ---------------------------------------------------------------------- copy */

static bool draw_copy(struct drawing *d, int split)
{
    const size_t T = (size_t)d->task->number, steps = T + 2 * COPIED;
    int32_t *const token = d->room, *const next = token + steps;
    for (size_t i = 0; i < steps; i++) {
        token[i] = BLANK;
        next[i] = -1;
    }
    for (size_t i = 0; i < COPIED; i++)
        next[T + COPIED + i] = token[i] = 1 + (int32_t)rng_below(&d->r, SYMBOLS);
    token[T + COPIED - 1] = MARK;
    if (is_test(token, COPIED * sizeof *token) != (split == SPLIT_TEST))
        return false;
    series_add(&d->s->series[0], token, steps);
    series_add(&d->s->series[1], next, steps);
    return true;
}

static bool open_copy(const struct sequence_task *t, const struct sequence_wish *w,
                      struct sequences *s, struct err *err)
{
    if (!check_number(t, 1, 10000, "steps between", err))
        return false;
    const struct sequence_input tokens = {.name = "tokens", .length = "length", .tokens = MARK + 1};
    const struct sequence_input next = {.name = "next", .series = 1, .pad = -1, .tokens = MARK + 1};
    sequences_add_input(s, tokens);
    sequences_add_input(s, next);
    const size_t bytes = 2 * sizeof(int32_t) * ((size_t)t->number + 2 * COPIED);
    struct drawing d = {.task = t, .s = s, .room = xmalloc(bytes)};
    const bool fine = draw_all(&d, draw_copy, w, bytes, err);
    free(d.room);
    return fine;
}

const struct sequence_source source_copy = {
    "copy", "copy:T: ten symbols, to be said again T steps later; generated", open_copy, true};

/* -------------------------------------------------------------- translations */

enum { WRITTEN = 64 }; /* bytes of either side, at most */

/* What both sides are, once `source` and `target` are written. */
static bool add_if(struct drawing *d, bool belongs, const char *source, const char *target)
{
    if (belongs)
        translation_add(d->s, source, strlen(source), target, strlen(target));
    return belongs;
}

static bool open_translation(const struct sequence_task *t, const struct sequence_wish *w,
                             draw_one *one, struct sequences *s, struct err *err)
{
    s->vocabulary[0] = vocabulary_new(TOKEN_CHARACTERS, true);
    s->vocabulary[1] = vocabulary_new(TOKEN_CHARACTERS, true);
    struct drawing d = {.task = t, .s = s};
    if (!draw_all(&d, one, w, 2 * WRITTEN * sizeof(int32_t), err))
        return false;
    translation_declare(s);
    return true;
}

/* A number of one to `digits` digits, without zeros in front. */
static uint32_t draw_number(struct rng *r, int digits)
{
    uint32_t below = 10;
    for (uint32_t more = rng_below(r, (uint32_t)digits); more > 0; more--)
        below *= 10;
    return below == 10 ? rng_below(r, 10) : below / 10 + rng_below(r, below - below / 10);
}

static bool draw_addition(struct drawing *d, int split)
{
    char source[WRITTEN], target[WRITTEN];
    const uint32_t a = draw_number(&d->r, (int)d->task->number);
    const uint32_t b = draw_number(&d->r, (int)d->task->number);
    snprintf(source, sizeof source, "%u+%u", a, b);
    snprintf(target, sizeof target, "%llu", (unsigned long long)a + b);
    return add_if(d, is_test(source, strlen(source)) == (split == SPLIT_TEST), source, target);
}

static bool open_addition(const struct sequence_task *t, const struct sequence_wish *w,
                          struct sequences *s, struct err *err)
{
    return check_number(t, 1, 9, "digits", err) && open_translation(t, w, draw_addition, s, err);
}

const struct sequence_source source_addition = {
    "addition", "addition:D: sums of two numbers of up to D digits, as text; generated",
    open_addition, true};

static bool draw_reverse(struct drawing *d, int split)
{
    char source[WRITTEN], target[WRITTEN];
    const uint32_t n = 1 + rng_below(&d->r, (uint32_t)d->task->number);
    source[n] = target[n] = '\0';
    for (uint32_t i = 0; i < n; i++)
        source[i] = target[n - 1 - i] = (char)('a' + rng_below(&d->r, 26));
    return add_if(d, is_test(source, n) == (split == SPLIT_TEST), source, target);
}

static bool open_reverse(const struct sequence_task *t, const struct sequence_wish *w,
                         struct sequences *s, struct err *err)
{
    return check_number(t, 2, WRITTEN - 1, "letters", err) &&
           open_translation(t, w, draw_reverse, s, err);
}

const struct sequence_source source_reverse = {
    "reverse", "reverse:N: words of up to N letters, backwards; generated", open_reverse, true};

/* --------------------------------------------------------------------- dates */

enum { DAYS = 73049 }; /* 1900-01-01 … 2099-12-31 */

struct date {
    int year, month, day, weekday; /* month from 1; weekday 0 is Monday */
};

static bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static struct date date_of(int days)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct date d = {1900, 1, 1, days % 7}; /* 1900-01-01 was a Monday */
    for (int n; days >= (n = 365 + is_leap(d.year)); d.year++)
        days -= n;
    for (int n; days >= (n = length[d.month - 1] + (d.month == 2 && is_leap(d.year))); d.month++)
        days -= n;
    d.day = days + 1;
    return d;
}

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

static const char *ordinal(int n)
{
    static const char *const ending[] = {"th", "st", "nd", "rd"};
    return n % 10 < 4 && n / 10 != 1 ? ending[n % 10] : "th";
}

/* One letter a part: d day, o day with its ending, m month, M its name, b its first three letters,
 * y year, Y its last two digits, w weekday, D and N day and month of two digits, T the word "of";
 * others stand for themselves. */
static const char *const ways[] = {
    "d M y", "M d, y", "w, M d, y", "o T M y", "b d y",  "d b Y",
    "D.N.y", "d.m.y",  "N/D/y",     "m/d/Y",   "y, M o", "w d b y",
};
enum { WAYS = sizeof ways / sizeof *ways };

static int write_part(char part, const struct date *d, char *to, size_t room)
{
    switch (part) {
    case 'd': return snprintf(to, room, "%d", d->day);
    case 'D': return snprintf(to, room, "%02d", d->day);
    case 'o': return snprintf(to, room, "%d%s", d->day, ordinal(d->day));
    case 'm': return snprintf(to, room, "%d", d->month);
    case 'N': return snprintf(to, room, "%02d", d->month);
    case 'M': return snprintf(to, room, "%s", months[d->month - 1]);
    case 'b': return snprintf(to, room, "%.3s", months[d->month - 1]);
    case 'y': return snprintf(to, room, "%d", d->year);
    case 'Y': return snprintf(to, room, "%02d", d->year % 100);
    case 'T': return snprintf(to, room, "of");
    case 'w': return snprintf(to, room, "%s", weekdays[d->weekday]);
    default: return snprintf(to, room, "%c", part);
    }
}

/* Years of two digits would be those of two centuries: only 1970 … 2069 are written so. */
static const char *draw_way(struct rng *r, const struct date *d)
{
    const char *way;
    do
        way = ways[rng_below(r, WAYS)];
    while (strchr(way, 'Y') && (d->year < 1970 || d->year > 2069));
    return way;
}

static bool draw_date(struct drawing *d, int split)
{
    char source[WRITTEN] = "", target[WRITTEN];
    const uint32_t day = rng_below(&d->r, DAYS);
    const struct date date = date_of((int)day);
    const char *way = draw_way(&d->r, &date);
    int n = 0;
    for (const char *p = way; *p; p++)
        n += write_part(*p, &date, source + n, sizeof source - (size_t)n);
    snprintf(target, sizeof target, "%04d-%02d-%02d", date.year, date.month, date.day);
    return add_if(d, is_test(target, strlen(target)) == (split == SPLIT_TEST), source, target);
}

static bool open_dates(const struct sequence_task *t, const struct sequence_wish *w,
                       struct sequences *s, struct err *err)
{
    return (!t->parameter[0] ||
            err_status(err, EXIT_USAGE, "task '%s': dates take no parameter", t->task)) &&
           open_translation(t, w, draw_date, s, err);
}

const struct sequence_source source_dates = {
    "dates", "dates: a dozen ways to write a day, into 1984-03-05; generated", open_dates, true};
