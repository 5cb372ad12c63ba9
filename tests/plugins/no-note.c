/* A descriptor that no note announces. */
#define NAME "no-note"
#define NO_NOTE
#include "part.h"
