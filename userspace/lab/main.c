/* SPDX-License-Identifier: Apache-2.0 */
/* cellwall-lab - what runs inside a workload of the practice network. Started by `cellwall lab`. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/strparse.h"
#include "lab/lab.h"
#include "lab/work.h"

static int usage(void)
{
	fputs("usage: cellwall-lab serve DIR NAME\n"
	      "       cellwall-lab drive DIR NAME SECONDS\n"
	      "       cellwall-lab attack DIR SECONDS PROBES FORGED\n"
	      "Runs inside the network namespace of a lab workload; `cellwall lab` starts it.\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	uint32_t seconds, probes, forged;
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "serve")) {
		r = work_serve(argv[2], argv[3]);
	} else if (argc == 5 && !strcmp(argv[1], "drive")) {
		if (parse_u32(argv[4], 1, LAB_SECONDS_MAX, &seconds) < 0)
			return usage();
		r = work_drive(argv[2], argv[3], seconds);
	} else if (argc == 6 && !strcmp(argv[1], "attack")) {
		if (parse_u32(argv[3], 1, LAB_SECONDS_MAX, &seconds) < 0 ||
		    parse_u32(argv[4], 0, LAB_PROBES_MAX, &probes) < 0 ||
		    parse_u32(argv[5], 0, LAB_PROBES_MAX, &forged) < 0)
			return usage();
		r = work_attack(argv[2], seconds, probes, forged);
	} else {
		return usage();
	}
	if (r < 0)
		fprintf(stderr, "cellwall-lab: %s %s: %s\n", argv[1], argv[2], strerror(-r));
	return r < 0 ? 1 : 0;
}
