/* counters_papi.c — events by PAPI, presets and native ones by name; see counters.h.
 *
 * Only papi.h is needed to build (HAVE_PAPI); libpapi.so is looked for when somebody asks for an
 * event, so that a program built here runs where there is none. Each thread has an event set for
 * each component of PAPI (the CPU's PMU is one); threads are attached to by their number, so that
 * one thread can read all. PAPI's own multiplexing does not tell how long each event counted:
 * it stays off, and what does not fit is refused instead of estimated in silence. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "perf/counter_names.h"
#include "perf/counters.h"

#ifdef HAVE_PAPI
#include <papi.h>

/* ---- the library ------------------------------------------------------------ */

/* Its functions, by name, with the types that papi.h gives them. */
#define FUNCTIONS(F)                                                                      \
    F(library_init)                                                                       \
    F(strerror)                                                                           \
    F(event_name_to_code)                                                                 \
    F(query_event) F(get_event_component) F(create_eventset) F(assign_eventset_component) \
        F(attach) F(add_event) F(start) F(read) F(stop) F(cleanup_eventset) F(destroy_eventset)

static struct {
#define F(name) __typeof__(&PAPI_##name) name;
    FUNCTIONS(F)
#undef F
    bool tried;
    char absent[COUNTER_WHY];
} papi;

static bool find_functions(void *library)
{
    const struct {
        const char *name;
        void *to;
    } all[] = {
#define F(name) {"PAPI_" #name, &papi.name},
        FUNCTIONS(F)
#undef F
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        void *const at = dlsym(library, all[i].name);
        if (!at) {
            snprintf(papi.absent, sizeof papi.absent, "libpapi.so has no %s", all[i].name);
            return false;
        }
        memcpy(all[i].to, &at, sizeof at); /* ISO C has no cast from object to function */
    }
    return true;
}

static void load(void)
{
    char name[48];
    papi.tried = true;
    snprintf(name, sizeof name, "libpapi.so.%d.%d", PAPI_VERSION_MAJOR(PAPI_VERSION),
             PAPI_VERSION_MINOR(PAPI_VERSION));
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(papi.absent, sizeof papi.absent, "%s cannot be loaded (package libpapi-dev)",
                 name);
        return;
    }
    if (!find_functions(library))
        return;
    const int got = papi.library_init(PAPI_VER_CURRENT);
    if (got != PAPI_VER_CURRENT)
        snprintf(papi.absent, sizeof papi.absent, "%s does not start: %s", name,
                 got < 0 ? papi.strerror(got) : "another version");
}

const char *counter_papi_absent(void)
{
    if (!papi.tried)
        load();
    return papi.absent;
}

/* ---- names -------------------------------------------------------------------- */

/* Ours that PAPI has presets for; the first that exists on a CPU counts. */
static const struct {
    const char *name, *preset;
} known[] = {
    /* clang-format off */
    {"cycles",           "PAPI_TOT_CYC"}, {"ref-cycles",       "PAPI_REF_CYC"},
    {"instructions",     "PAPI_TOT_INS"}, {"branches",         "PAPI_BR_INS"},
    {"branch-misses",    "PAPI_BR_MSP"},  {"l1d-loads",        "PAPI_LD_INS"},
    {"l1d-misses",       "PAPI_L1_DCM"},  {"l2-accesses",      "PAPI_L2_TCA"},
    {"l2-misses",        "PAPI_L2_TCM"},  {"llc-misses",       "PAPI_L3_TCM"},
    {"dtlb-misses",      "PAPI_TLB_DM"},  {"itlb-misses",      "PAPI_TLB_IM"},
    {"stalled-frontend", "PAPI_STL_ICY"}, {"stalled-backend",  "PAPI_RES_STL"},
    {"flops-f32",        "PAPI_SP_OPS"},  {"vector-f32",       "PAPI_VEC_SP"},
    /* clang-format on */
};

static bool is_own_name(const char *name)
{
    return strncmp(name, "PAPI_", 5) == 0 || strstr(name, "::");
}

/* Without the library any name that looks like one of PAPI's may be right. */
static bool knows(struct counter_event *event)
{
    const char *name = is_own_name(event->name) ? event->name : NULL;
    for (size_t i = 0; !name && i < sizeof known / sizeof *known; i++)
        name = counter_same(known[i].name, event->name) ? known[i].preset : NULL;
    int code = 0;
    if (name && !*counter_papi_absent() && papi.event_name_to_code(name, &code) != PAPI_OK)
        return false;
    event->config = (uint64_t)(unsigned)code;
    return name != NULL;
}

/* ---- groups ---------------------------------------------------------------------- */

enum { SETS = 8 };

struct group {
    int n, sets;
    struct {
        int component, id, events;
        bool runs;
        bool elsewhere; /* counts for the whole machine: this process's first thread has it */
    } set[SETS];
    int of[COUNTERS_MOST],
        at[COUNTERS_MOST]; /* event: which set, which place in it; of < 0: none */
    int64_t since;
};

/* The thread's set for a component, made when first asked for; -1 and *status when it cannot be. */
static int set_for(struct group *g, int component, int tid, int *status)
{
    for (int i = 0; i < g->sets; i++)
        if (g->set[i].component == component)
            return i;
    if (g->sets == SETS) {
        *status = PAPI_ENOMEM;
        return -1;
    }
    int id = PAPI_NULL;
    bool whole_machine = false;
    *status = papi.create_eventset(&id);
    if (*status == PAPI_OK)
        *status = papi.assign_eventset_component(id, component);
    if (*status == PAPI_OK) {
        /* Components that count for the whole machine (energy, network) attach to no thread. */
        const int attached = papi.attach(id, (unsigned long)tid);
        whole_machine = attached == PAPI_ECMP;
        *status = whole_machine ? PAPI_OK : attached;
    }
    if (*status != PAPI_OK)
        return -1;
    g->set[g->sets].component = component;
    g->set[g->sets].id = id;
    g->set[g->sets].elsewhere = whole_machine && tid != getpid();
    return g->sets++;
}

static void add_event(struct group *g, int i, int code, int tid, char why[COUNTER_WHY])
{
    int status = papi.query_event(code);
    const int component = papi.get_event_component(code);
    const int set =
        status == PAPI_OK ? set_for(g, component < 0 ? 0 : component, tid, &status) : -1;
    if (set >= 0 && !g->set[set].elsewhere)
        status = papi.add_event(g->set[set].id, code);
    if (status != PAPI_OK) {
        snprintf(why, COUNTER_WHY, "PAPI: %s%s", papi.strerror(status),
                 status == PAPI_ECNFLCT ? " beside the others: ask for fewer at once" : "");
        return;
    }
    g->of[i] = set;
    g->at[i] = g->set[set].events++;
}

static void start(struct group *g, char (*why)[COUNTER_WHY])
{
    for (int s = 0; s < g->sets; s++) {
        const bool wanted = g->set[s].events && !g->set[s].elsewhere;
        const int status = wanted ? papi.start(g->set[s].id) : PAPI_OK;
        g->set[s].runs = wanted && status == PAPI_OK;
        for (int i = 0; i < g->n && status != PAPI_OK; i++)
            if (g->of[i] == s)
                snprintf(why[i], COUNTER_WHY, "PAPI: %s", papi.strerror(status));
    }
}

static void *open_all(const struct counter_event *event, int n, int tid, char (*why)[COUNTER_WHY])
{
    struct group *g = xcalloc(1, sizeof *g);
    const char *const absent = counter_papi_absent();
    g->n = n;
    g->since = clock_ns();
    for (int i = 0; i < n; i++) {
        g->of[i] = -1;
        if (*absent)
            snprintf(why[i], COUNTER_WHY, "PAPI would know: %.120s", absent);
        else
            add_event(g, i, (int)(unsigned)event[i].config, tid, why[i]);
    }
    start(g, why);
    return g;
}

static void read_all(void *group, struct counter_raw *raw)
{
    const struct group *g = group;
    const int64_t ns = clock_ns() - g->since;
    long long value[SETS][COUNTERS_MOST];
    bool here[SETS];
    for (int s = 0; s < g->sets; s++)
        here[s] = g->set[s].runs && papi.read(g->set[s].id, value[s]) == PAPI_OK;
    for (int i = 0; i < g->n; i++) {
        const int s = g->of[i];
        raw[i] = (struct counter_raw){.here = s >= 0 && (here[s] || g->set[s].elsewhere)};
        if (s >= 0 && here[s])
            raw[i] = (struct counter_raw){(uint64_t)value[s][g->at[i]], ns, ns, true};
    }
}

static void close_all(void *group)
{
    struct group *g = group;
    for (int s = 0; s < g->sets; s++) {
        if (g->set[s].runs)
            papi.stop(g->set[s].id, NULL);
        papi.cleanup_eventset(g->set[s].id);
        papi.destroy_eventset(&g->set[s].id);
    }
    free(g);
}

#else

const char *counter_papi_absent(void)
{
    return "not built in (package libpapi-dev, then build again)";
}

static bool knows(struct counter_event *event)
{
    static const char *const ours[] = {"l2-accesses", "l2-misses", "flops-f32", "vector-f32"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (counter_same(ours[i], event->name))
            return true;
    return strncmp(event->name, "PAPI_", 5) == 0 || strstr(event->name, "::");
}

static void *open_all(const struct counter_event *event, int n, int tid, char (*why)[COUNTER_WHY])
{
    (void)event;
    (void)tid;
    for (int i = 0; i < n; i++)
        snprintf(why[i], COUNTER_WHY, "only PAPI counts it: %s", counter_papi_absent());
    return xcalloc(1, 1);
}

/* Never called for an event: none was opened. */
static void read_all(void *group, struct counter_raw *raw)
{
    (void)group;
    (void)raw;
}

static void close_all(void *group) { free(group); }

#endif

const struct counter_source counter_papi = {
    .name = "papi",
    .bits = 64,
    .about = "PAPI",
    .knows = knows,
    .open = open_all,
    .read = read_all,
    .close = close_all,
};
