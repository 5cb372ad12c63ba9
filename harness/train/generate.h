/* generate.h — what a trained network says, seen from the parent: a worker opens the checkpoint,
 * builds the network and speaks; this process loads nothing. */
#ifndef GENERATE_H
#define GENERATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What is asked for. Numbers below 0 mean "as the kind of network has it". */
struct generate_spec {
    const char *plugin_path, *plugin, *variant;
    const char *from; /* the checkpoint */
    const char *isa;  /* NULL: best */
    int line;         /* of standard input: of the first prompt, the others follow; 0: --prompt */
    int threads, length, top, beam, count;
    double temperature;
    int64_t seed;
};

/* The parent's ears; any may be NULL. Strings are borrowed for the call. */
struct generate_sink {
    void (*remark)(void *arg, const char *text); /* for people: unknown characters of a prompt */
    void (*piece)(void *arg,
                  const char *text); /* of a text that is being said, as it comes; prompt first */
    /* Something said completely:
     *   {"prompt":…,"text":…,"tokens":n}                         running text, lines; of a beam
     * also
     *   {"prompt":…,"text":…,"tokens":n,"others":[{"text":…,"score":…}…],"score":…} translations
     *   {"prompt":…,"classes":[{"name":…,"probability":…}…]}     the most probable first */
    void (*said)(void *arg, const json_t *json);
    void *arg;
};

/* Asks the network about `prompts` texts, sound UTF-8; 0: it speaks unasked. Refusals have status
 * EXIT_USAGE where the request, EXIT_PLUGIN where the plugin, EXIT_BENCH_FAILED where file or
 * network are at fault. */
__attribute__((warn_unused_result)) bool generate_run(const struct generate_spec *spec,
                                                      const char *const *prompt, size_t prompts,
                                                      const struct generate_sink *sink,
                                                      struct err *err);

#endif
