// SPDX-License-Identifier: Apache-2.0
#ifdef __linux__
#define _GNU_SOURCE
#include <fcntl.h>
#endif
#include "CQuernKernels.h"

int quern_punch_hole(int descriptor, int64_t offset, int64_t length) {
#ifdef __linux__
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
#else
    (void)descriptor, (void)offset, (void)length;
    return -1;
#endif
}
