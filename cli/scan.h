/* SPDX-License-Identifier: MIT */
/* --scan: the keys, one a line. */
#ifndef STAVE_CLI_SCAN_H
#define STAVE_CLI_SCAN_H

#include "cli/session.h"

enum cli_exit scan_run(struct session *session);

#endif
