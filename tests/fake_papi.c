/* fake_papi.c — a libpapi.so that counts what can be foretold, for tests/cli/counters.t: the CPU's
 * cycles advance by 1000 a reading and thread, its cache misses by 2000; a component that belongs
 * to the whole machine attaches to no thread and advances by 5000; PAPI_BR_MSP exists, but not
 * here.
 *
 * Declared by hand, so that it builds where there is no papi.h. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { OK = 0, NO_EVENT = -7, NO_SUPPORT = -4 /* of the component: PAPI_ECMP */ };
enum { CYCLES = 1, MISSES = 2, MACHINE = 3, ABSENT = 4, SETS = 256, EVENTS = 8 };

int PAPI_library_init(int version);
char *PAPI_strerror(int status);
int PAPI_event_name_to_code(const char *name, int *code);
int PAPI_query_event(int code);
int PAPI_get_event_component(int code);
int PAPI_create_eventset(int *set);
int PAPI_assign_eventset_component(int set, int component);
int PAPI_attach(int set, unsigned long tid);
int PAPI_add_event(int set, int code);
int PAPI_start(int set);
int PAPI_read(int set, long long *value);
int PAPI_stop(int set, long long *value);
int PAPI_cleanup_eventset(int set);
int PAPI_destroy_eventset(int *set);

static struct {
    int component, events, code[EVENTS];
    long long readings;
    bool runs;
} all[SETS];
static int sets;

int PAPI_library_init(int version) { return version; }

char *PAPI_strerror(int status)
{
    static char no_event[] = "Event does not exist", other[] = "Refused";
    return status == NO_EVENT ? no_event : other;
}

int PAPI_event_name_to_code(const char *name, int *code)
{
    static const char *const names[] = {"", "PAPI_TOT_CYC", "PAPI_L2_TCM", "watts:::ALL",
                                        "PAPI_BR_MSP"};
    for (int i = 1; i < (int)(sizeof names / sizeof *names); i++)
        if (strcmp(names[i], name) == 0) {
            *code = i;
            return OK;
        }
    return NO_EVENT;
}

int PAPI_query_event(int code) { return code == ABSENT ? NO_EVENT : OK; }
int PAPI_get_event_component(int code) { return code == MACHINE; }

int PAPI_create_eventset(int *set)
{
    *set = sets++;
    return *set < SETS ? OK : NO_SUPPORT;
}

int PAPI_assign_eventset_component(int set, int component)
{
    all[set].component = component;
    return OK;
}

int PAPI_attach(int set, unsigned long tid)
{
    (void)tid;
    return all[set].component ? NO_SUPPORT : OK;
}

int PAPI_add_event(int set, int code)
{
    all[set].code[all[set].events++] = code;
    return OK;
}

int PAPI_start(int set)
{
    all[set].runs = true;
    return OK;
}

int PAPI_read(int set, long long *value)
{
    static const long long each[] = {0, 1000, 2000, 5000};
    all[set].readings++;
    for (int i = 0; i < all[set].events; i++)
        value[i] = all[set].readings * each[all[set].code[i]];
    return all[set].runs ? OK : NO_SUPPORT;
}

int PAPI_stop(int set, long long *value)
{
    (void)value;
    all[set].runs = false;
    return OK;
}

int PAPI_cleanup_eventset(int set)
{
    if (all[set].runs)
        fprintf(stderr, "fake PAPI: set %d is cleaned up while it counts\n", set);
    return OK;
}

int PAPI_destroy_eventset(int *set)
{
    *set = -1;
    return OK;
}
