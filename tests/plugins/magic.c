/* Some other program's constant of the same name. */
#define NAME   "magic"
#define HEADER .magic = 0x12345678,
#include "part.h"
