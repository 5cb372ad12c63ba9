/* list.h — which pictures a folder holds, and of which classes.
 *
 *     DIR/train/CLASS/… and DIR/val/CLASS/… (or test, validation, valid)   as ImageNet has it
 *     DIR/CLASS/…   and DIR/train/CLASS/… alone: of each ten pictures of a class, in the order of
 *                   their names, the second is for testing
 *
 * Classes are the sub-folders, in the order of their names; pictures may lie deeper in them. Hidden
 * files are passed over, and so are texts (.txt .csv .xml .json .md): everything else must be a
 * picture. */
#ifndef LIST_H
#define LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct listed {
    char *path; /* from the folder on */
    int label;
    bool test;
    uint64_t bytes;
    int64_t changed_ns; /* last modification */
};

struct list {
    struct listed *file; /* training pictures, then test pictures; by class and name within */
    size_t files, train, room;
    char **class_name;
    int classes;
};

/* Whether it has a sub-folder that could be a class. */
bool list_is_at(const char *folder);

/* Refuses, naming the folder: no classes, one class, a class without pictures for training, test
 * classes that training does not know, more than LIST_CLASSES, folders nested too deep. */
enum { LIST_CLASSES = 65535, LIST_DEPTH = 16 };
bool list_open(const char *folder, struct list *l, struct err *err);
void list_release(struct list *l);

#endif
