/* session.c — one call of the program: command line, machine, environment, build. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "perf/environment.h"
#include "store/store_inside.h"

int64_t store_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* RFC 9562, version 4: random, so that databases of two machines never clash. */
void store_uuid(char uuid[STORE_UUID])
{
    unsigned char b[16];
    for (size_t have = 0; have < sizeof b;) {
        const ssize_t n = getrandom(b + have, sizeof b - have, 0);
        have += n > 0 ? (size_t)n : 0;
    }
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    char *to = uuid;
    for (int i = 0; i < 16; i++)
        to += sprintf(to, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
}

static void command_line(struct text *line, int argc, char **argv)
{
    static char words[1 << 16];
    FILE *f = fopen("/proc/self/cmdline", "r");
    const size_t n = f ? fread(words, 1, sizeof words - 1, f) : 0;
    if (f)
        fclose(f);
    words[n] = '\0';
    for (size_t at = 0; at < n; at += strlen(words + at) + 1)
        text_add_word(line, words + at);
    for (int i = 0; n == 0 && i < argc; i++)
        text_add_word(line, argv[i]);
}

static bool add_machine(struct sql *s, const struct machine *m, int64_t *id, struct err *err)
{
    return sql_run(s, err,
                   "INSERT INTO machine(fp, cpu, arch, isa, hypervisor, sockets, cores, threads, "
                   "l1d, l2, "
                   "l3, ram) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                   "tttTTIIIIIII", m->fp, m->cpu, m->arch, m->isa, m->hypervisor, m->sockets,
                   m->cores, m->threads, m->l1d, m->l2, m->l3, m->ram) &&
           sql_int(s, err, id, 0, "SELECT id FROM machine WHERE fp = ?", "t", m->fp);
}

static bool add_environment(struct sql *s, int64_t *id, struct err *err)
{
    struct environment e;
    int64_t machine;
    environment_read(&e);
    return add_machine(s, &e.machine, &machine, err) &&
           sql_run(s, err,
                   "INSERT INTO environment(fp, machine_id, kernel, os, libc, microcode, governor, "
                   "thp, pmu, "
                   "boost, smt, aslr, cgroup_quota, isolated, libraries) VALUES "
                   "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
                   "tiTTTTTTTIIIdTT", e.fp, machine, e.kernel, e.os, e.libc, e.microcode,
                   e.governor, e.thp, e.pmu, e.boost, e.smt, e.aslr, e.cgroup_quota, e.isolated,
                   e.libraries) &&
           sql_int(s, err, id, 0, "SELECT id FROM environment WHERE fp = ?", "t", e.fp);
}

static bool add_build(struct sql *s, int64_t *id, struct err *err)
{
    struct build b;
    build_read(&b);
    return sql_run(s, err,
                   "INSERT INTO build(fp, git_commit, git_branch, commit_ms, dirty, diff_sha256, "
                   "compiler, "
                   "cflags, ldflags, lib_sha256, tool_version) VALUES (?,?,?,?,?,?,?,?,?,?,?) ON "
                   "CONFLICT DO NOTHING",
                   "tTTIITTTTTt", b.fp, b.commit, b.branch, b.commit_ms, b.dirty, b.diff_sha256,
                   b.compiler, b.cflags, b.ldflags, b.lib_sha256, b.version) &&
           sql_int(s, err, id, 0, "SELECT id FROM build WHERE fp = ?", "t", b.fp);
}

struct store_session *store_session_begin(struct store *s, int argc, char **argv, struct err *err)
{
    int64_t environment, build, id = 0;
    char uuid[STORE_UUID];
    struct text line = {0};
    store_uuid(uuid);
    command_line(&line, argc, argv);
    bool good = sql_begin(&s->sql, err);
    if (good) {
        good = add_environment(&s->sql, &environment, err) && add_build(&s->sql, &build, err) &&
               sql_run(&s->sql, err,
                       "INSERT INTO session(uuid, purpose, argv, env_id, build_id, started_ms) "
                       "VALUES (?, 'run', ?, ?, ?, ?)",
                       "ttiii", uuid, text_str(&line), environment, build, store_now_ms());
        id = sqlite3_last_insert_rowid(s->sql.db);
        good = sql_end(&s->sql, good, err);
    }
    text_release(&line);
    if (!good)
        return NULL;
    struct store_session *session = xcalloc(1, sizeof *session);
    *session = (struct store_session){s, id};
    return session;
}

bool store_session_end(struct store_session *session, int exit_status, struct err *err)
{
    const bool good = sql_run(&session->store->sql, err,
                              "UPDATE session SET ended_ms = ?, exit_code = ? WHERE id = ?", "iii",
                              store_now_ms(), (int64_t)exit_status, session->id);
    free(session);
    return good;
}
