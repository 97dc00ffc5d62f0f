/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - cellwalld: arguments, and the ways to be called that do not run it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>

#define LOG_UNIT "cellwalld"
#include "base/cleanup.h"
#include "base/log.h"
#include "daemon/cni.h"
#include "daemon/daemon.h"
#include "daemon/tls.h"
#include "daemon/uninstall.h"
#include "loader/features.h"

static int print_features(const char *pin_root)
{
	struct features feat;
	int r = features_probe(pin_root, &feat);

	if (r < 0) {
		fprintf(stderr, "error[agent.bpf]: BPF is not permitted here: %s\n", strerror(-r));
		return 6;
	}
	for (int i = 0; i < FEAT_COUNT; i++)
		printf("%-24s %-4s %s%s%s\n", feature_str(i), feat.f[i].on ? "yes" : "no", feature_text(i),
		       feat.f[i].on ? "" : ": ", feat.f[i].on ? "" : strerror(-feat.f[i].err));
	return 0;
}

static void usage(FILE *f)
{
	fputs("usage: cellwalld [--config FILE] [--role ROLE] [--set KEY=VALUE]... [--check | --features | --uninstall]\n"
	      "       cellwalld [--config FILE] [--set KEY=VALUE]... [--out DIR] --issue-cert node NAME\n"
	      "       cellwalld [--config FILE] [--set KEY=VALUE]... [--out DIR] --issue-cert controller HOST[,HOST...]\n"
	      "\n"
	      "  --config FILE      configuration (default " CONFIG_PATH_DEFAULT ", may be absent)\n"
	      "  --set KEY=VALUE    one key over the file, e.g. --set mode.default=alert\n"
	      "  --role ROLE        all, agent or controller: the same as --set role=ROLE\n"
	      "  --check            check the configuration and exit\n"
	      "  --features         print what this kernel can do and exit\n"
	      "  --uninstall        remove all attachments, programs and maps and exit\n"
	      "  --issue-cert       a year's certificate from the authority of this state directory, made if there is\n"
	      "                     none: writes NAME.crt, NAME.key and ca.crt to the current directory, or DIR\n"
	      "  --version\n", f);
}

/* A daemon that still runs would be left blind: it would neither judge nor know why. */
static bool is_running(const struct config *c)
{
	auto_free char *path = NULL;
	auto_close int fd = -1;

	if (asprintf(&path, "%s/lock", c->state_dir) < 0)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

static int uninstall(const struct config *c)
{
	struct fail_list f = { };
	int r;

	if (is_running(c)) {
		fprintf(stderr, "error[agent.running]: a cellwalld still runs with this state directory, nothing was removed\n"
			"  at:       %s\n  next:     systemctl stop cellwalld\n", c->state_dir);
		return 6;
	}
	r = daemon_cni_uninstall(c, &f);
	if (r < 0) {
		daemon_print_fails(&f);
		fail_list_done(&f);
		return 6;
	}
	r = uninstall_all(c->pin_root);
	if (r < 0) {
		fprintf(stderr, "error[agent.uninstall]: cannot remove everything under %s: %s\n", c->pin_root,
			strerror(-r));
		return 6;
	}
	printf("removed attachments, programs and maps under %s; traffic is as without cellwall\n", c->pin_root);
	return 0;
}

static int issue_cert(const struct config *c, const char *role, const char *name, const char *dir)
{
	struct fail_list f = { };
	int r = tls_issue(c, role, name, dir, &f);

	daemon_print_fails(&f);
	fail_list_done(&f);
	if (r)
		return r == -EINVAL ? 2 : 6;
	printf("wrote %s/%s.crt, its key, and ca.crt of the authority\n", dir, !strcmp(role, "node") ? name : "controller");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option opts[] = {
		{ "config", required_argument, NULL, 'c' }, { "set", required_argument, NULL, 's' },
		{ "check", no_argument, NULL, 'k' },	    { "features", no_argument, NULL, 'f' },
		{ "uninstall", no_argument, NULL, 'u' },    { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },	    { "role", required_argument, NULL, 'r' },
		{ "issue-cert", required_argument, NULL, 'i' }, { "out", required_argument, NULL, 'o' },
		{ }
	};
	struct daemon d = { .cfg_path = CONFIG_PATH_DEFAULT, .lock = -1 };
	struct rlimit inf = { RLIM_INFINITY, RLIM_INFINITY };
	struct { char *key, *value; } sets[CONFIG_KEYS_MAX];
	const char *issue = NULL, *out = ".";
	struct fail_list f = { };
	bool optional = true;
	size_t nsets = 0;
	int o, what = 0, r;

	while ((o = getopt_long(argc, argv, "hV", opts, NULL)) != -1) {
		switch (o) {
		case 'c':
			d.cfg_path = optarg;
			optional = false;
			break;
		case 's':
			if (nsets == CONFIG_KEYS_MAX || !strchr(optarg, '=')) {
				fprintf(stderr, "error[usage.set]: --set wants KEY=VALUE, at most %d times\n", CONFIG_KEYS_MAX);
				return 2;
			}
			sets[nsets].key = optarg;
			sets[nsets].value = strchr(optarg, '=') + 1;
			sets[nsets++].value[-1] = 0;
			break;
		case 'r':
			if (nsets == CONFIG_KEYS_MAX)
				return 2;
			sets[nsets].key = (char *)"role";
			sets[nsets++].value = optarg;
			break;
		case 'i':
			issue = optarg;
			what = o;
			break;
		case 'o':
			out = optarg;
			break;
		case 'k':
		case 'f':
		case 'u':
			what = o;
			break;
		case 'V':
			puts("cellwalld " CW_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (issue && optind + 1 == argc) {
		optind++;
	} else if (issue) {
		fprintf(stderr, "error[usage.argument]: --issue-cert wants two words: node NAME, or controller HOST\n");
		return 2;
	}
	if (optind != argc) {
		fprintf(stderr, "error[usage.argument]: unexpected argument \"%s\"\n", argv[optind]);
		return 2;
	}
	r = config_load(d.cfg_path, optional, &f, &d.cfg);
	for (size_t i = 0; !r && i < nsets; i++)
		r = config_set(&d.cfg, sets[i].key, sets[i].value, "--set", &f);
	if (r < 0) {
		daemon_print_fails(&f);
		fail_list_done(&f);
		return 2;
	}
	if (!d.cfg.node || !*d.cfg.node) {
		char host[65] = "";

		if (gethostname(host, sizeof(host) - 1) || !*host)
			snprintf(host, sizeof(host), "node");
		free(d.cfg.node);
		d.cfg.node = strdup(host);
	}
	log_set_level((enum log_level)d.cfg.log_level);
	log_set_json(d.cfg.log_format == CONFIG_LOG_JSON);
	/* Kernels before 5.11 charge maps against this limit; where it cannot be raised they say so. */
	(void)setrlimit(RLIMIT_MEMLOCK, &inf);
	signal(SIGPIPE, SIG_IGN);
	if (what == 'k')
		puts("the configuration is valid");
	else if (what == 'f')
		r = print_features(d.cfg.pin_root);
	else if (what == 'u')
		r = uninstall(&d.cfg);
	else if (issue)
		r = issue_cert(&d.cfg, issue, argv[argc - 1], out);
	else
		r = daemon_run(&d) < 0 ? 6 : 0;
	config_done(&d.cfg);
	fail_list_done(&f);
	if (d.lock >= 0)
		close(d.lock);
	return r;
}
