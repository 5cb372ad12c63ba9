/* generate_task.h — `bench generate` in the worker: generate.h says what is reported. */
#ifndef GENERATE_TASK_H
#define GENERATE_TASK_H

#include <jansson.h>

/* Does {"spec":…,"prompts":[…]}. `say` is told what comes next; `report` takes each document, the
 * last of which is {"status":…}, with an "error" where it is not EXIT_OK. */
void generate_task(const json_t *job, void (*say)(const char *what), void (*report)(json_t *json));

#endif
