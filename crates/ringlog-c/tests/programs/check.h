/* What the test programs stand on: a condition that ends the program if it does not hold, and says which. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringlog.h"

static int checks;

#define CHECK(condition)                                                                             \
    do {                                                                                             \
        checks++;                                                                                    \
        if (!(condition)) {                                                                          \
            fprintf(stderr, "%s:%d: not so: %s; the last error: %s\n", __FILE__, __LINE__, #condition, \
                    ringlog_last_error());                                                           \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

/* A code, and what the error says. */
#define REFUSED(call, code, word)                            \
    do {                                                     \
        CHECK((call) == (code));                             \
        CHECK(strstr(ringlog_last_error(), (word)) != NULL); \
    } while (0)

#endif
