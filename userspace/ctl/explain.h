/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - the table behind `explain`, for the tests of its languages. */
#pragma once

#include "ctl/msg.h"

struct explain_row { const char *key, *text[LANG_COUNT], *next; };
extern const struct explain_row explain_subjects[], explain_names[];
extern const size_t explain_nsubjects, explain_nnames;
