/*
 * The smallest test harness: CHECK reports and counts, checked() is the exit status.
 */

#ifndef VMAF_DNN_CHECK_H
#define VMAF_DNN_CHECK_H

#include <stdbool.h>
#include <stdio.h>

static unsigned check_count;
static unsigned check_failures;

static inline void check_report(bool holds, const char *what, const char *file, int line)
{
    check_count++;
    if (!holds) {
        check_failures++;
        (void) fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    }
}

#define CHECK(condition) check_report((condition), #condition, __FILE__, __LINE__)

static inline int checked(void)
{
    printf("%u checks, %u failures\n", check_count, check_failures);
    return check_count == 0 || check_failures > 0;
}

#endif
