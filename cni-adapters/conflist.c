/* SPDX-License-Identifier: Apache-2.0 */
/* conflist.c - the node's directory of network configurations, and the plugin's program. */
#include "cni-adapters/conflist.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cni-adapters/plugin/span.h"

#define PROGRAM_MAX (64u << 20)

struct names { char (*v)[256]; size_t n; };

static void names_done(struct names *l)
{
	free(l->v);
}

static bool ends(const char *s, const char *with)
{
	size_t n = strlen(s), k = strlen(with);

	return n > k && !strcmp(s + n - k, with);
}

static bool is_list(const char *name)
{
	return ends(name, ".conflist");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Names with one of the endings, sorted as runtimes sort them. */
static int names_read(int dir_fd, const char *const *endings, struct names *ret)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	struct names l = { };
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	l.v = malloc(CONFLIST_FILES_MAX * sizeof(*l.v));
	if (!d || !l.v) {
		if (d)
			closedir(d);
		else
			close(fd);
		free(l.v);
		return -ENOMEM;
	}
	while (!r && (e = readdir(d))) {
		bool want = false;

		for (size_t i = 0; endings[i]; i++)
			want |= ends(e->d_name, endings[i]);
		/* Ours on their way to being renamed. */
		if (!want || *e->d_name == '.')
			continue;
		if (l.n == CONFLIST_FILES_MAX)
			r = -E2BIG;
		else
			snprintf(l.v[l.n++], sizeof(*l.v), "%s", e->d_name);
	}
	closedir(d);
	if (r) {
		free(l.v);
		return r;
	}
	qsort(l.v, l.n, sizeof(*l.v), by_name);
	*ret = l;
	return 0;
}

/* A regular file and no link: what is replaced by rename must be the thing itself. */
static int text_read(int dir_fd, const char *name, struct stat *st, char **ret, size_t *ret_len)
{
	auto_close int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st))
		return -errno;
	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	return read_all_fd(fd, CONFLIST_MAX, ret, ret_len);
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* Beside it, then by rename. st: the mode and owner it gets. */
static int text_write(int dir_fd, const char *name, const struct stat *st, const char *p, size_t n)
{
	auto_close int fd = -1;
	char tmp[300];
	int r;

	snprintf(tmp, sizeof(tmp), ".%s.cellwall", name);
	(void)unlinkat(dir_fd, tmp, 0); /* of one that was interrupted */
	fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, p, n);
	/* Another's file stays the other's where this may be said. */
	if (!r && fchown(fd, st->st_uid, st->st_gid) && errno != EPERM)
		r = -errno;
	if (!r && (fchmod(fd, st->st_mode & 07777) || fsync(fd)))
		r = -errno;
	if (!r && renameat(dir_fd, tmp, dir_fd, name))
		r = -errno;
	if (r)
		(void)unlinkat(dir_fd, tmp, 0);
	return r;
}

static int cannot(struct fail_list *f, int r, const char *name)
{
	if (r == -ELOOP)
		return fail_add(f, r, "cni.link", name, "a regular file",
				"put the file itself there, or take the link out of the directory",
				"a network configuration is a symbolic link, left as it is");
	if (r == -EBADMSG || r == -EINVAL)
		return fail_add(f, r, "cni.conf", name, "a network configuration of CNI: JSON with name, and plugins or type", NULL,
				"a network configuration cannot be understood, left as it is");
	if (r == -E2BIG)
		return fail_add(f, r, "cni.too-long", name, "at most 1 MiB", NULL,
				"a network configuration is too long, left as it is");
	return fail_add(f, r, "cni.file", name, NULL, NULL, "a network configuration cannot be edited: %s", strerror(-r));
}

/* The list a lone plugin's file is wrapped in: 10-x.conf stands in 10-x.conflist. */
static void list_name(const char *conf, char out[256])
{
	const char *dot = strrchr(conf, '.');

	snprintf(out, 256, "%.*s.conflist", (int)(dot - conf) < 240 ? (int)(dot - conf) : 240, conf);
}

/* The wrapped list first, then the lone file aside: in between the runtime sees either. */
static int install_lone(int dir_fd, const char *name, const struct conflist_part *p, char list[256])
{
	auto_free char *text = NULL, *next = NULL;
	struct stat st = { }, there;
	size_t len = 0, n = 0;
	char aside[300];
	int r = text_read(dir_fd, name, &st, &text, &len);

	r = r ?: conflist_text_add(text, len, false, p, &next, &n);
	if (r)
		return r;
	list_name(name, list);
	snprintf(aside, sizeof(aside), "%s" CONFLIST_ASIDE, name);
	/* A list of that name that is not the one we made would be lost. */
	if (!fstatat(dir_fd, list, &there, AT_SYMLINK_NOFOLLOW) && fstatat(dir_fd, aside, &there, AT_SYMLINK_NOFOLLOW))
		return -EEXIST;
	r = text_write(dir_fd, list, &st, next, n);
	if (!r && renameat(dir_fd, name, dir_fd, aside))
		r = -errno;
	return r ?: CONFLIST_CHANGED;
}

static int install_list(int dir_fd, const char *name, const struct conflist_part *p)
{
	auto_free char *text = NULL, *next = NULL;
	struct stat st = { };
	size_t len = 0, n = 0;
	int r = text_read(dir_fd, name, &st, &text, &len);

	r = r ?: conflist_text_add(text, len, true, p, &next, &n);
	return r ? r : text_write(dir_fd, name, &st, next, n);
}

int conflist_install(int dir_fd, const struct conflist_part *p, struct fail_list *f, char file[256])
{
	static const char *const endings[] = { ".conf", ".conflist", ".json", NULL };
	auto_cleanup(names_done) struct names l = { };
	int r = names_read(dir_fd, endings, &l), bad = 0;

	if (r)
		return cannot(f, r, "the directory");
	for (size_t i = 0; i < l.n; i++) {
		char used[256];

		snprintf(used, sizeof(used), "%s", l.v[i]);
		if (is_list(used))
			r = install_list(dir_fd, used, p);
		else
			r = install_lone(dir_fd, l.v[i], p, used);
		if (r >= 0) {
			if (file)
				memcpy(file, used, sizeof(used));
			return r;
		}
		(void)cannot(f, r, l.v[i]);
		/* A link is what the runtime uses all the same: the next one would not be. */
		if (r != -EBADMSG && r != -EINVAL && r != -E2BIG)
			return r;
		bad = r;
	}
	return bad ? bad : CONFLIST_NONE;
}

/* What was set aside comes back when the list is still what we made of it. */
static int restore(int dir_fd, const char *aside, struct fail_list *f)
{
	auto_free char *text = NULL, *list_text = NULL, *without = NULL;
	struct span root, was, plugins, only = { }, it;
	struct stat st = { }, there;
	size_t len = 0, n = 0, k = 0;
	char conf[256], list[256];
	int r;

	snprintf(conf, sizeof(conf), "%.*s", (int)(strlen(aside) - strlen(CONFLIST_ASIDE)), aside);
	if (!strrchr(conf, '.'))
		return 0;
	list_name(conf, list);
	r = text_read(dir_fd, aside, &st, &text, &len);
	if (r)
		return cannot(f, r, aside);
	r = text_read(dir_fd, list, &st, &list_text, &n);
	if (r == -ENOENT) {
		/* Somebody took our list away and with it the network: as it was before. */
		return renameat(dir_fd, aside, dir_fd, conf) ? cannot(f, -errno, aside) : 0;
	}
	r = r ?: conflist_text_del(list_text, n, &without, &k);
	if (r < 0)
		return cannot(f, r, list);
	if (r == CONFLIST_AS_WANTED || span_read(without, k, &root, NULL) || span_get(root, "plugins", &plugins))
		return 0; /* not ours any more: theirs to keep */
	it = (struct span){ };
	if (!span_next(plugins, &it))
		return 0;
	only = it;
	if (span_next(plugins, &it))
		return text_write(dir_fd, list, &st, without, k); /* somebody chained more: it stays a list */
	/* Edited inside the list: so it goes on. Written anew by the CNI meanwhile: that one holds. */
	if (span_read(text, len, &was, NULL) || was.n != only.n || memcmp(was.p, only.p, only.n))
		r = text_write(dir_fd, aside, &st, only.p, only.n);
	if (!r && (fstatat(dir_fd, conf, &there, AT_SYMLINK_NOFOLLOW) ? renameat(dir_fd, aside, dir_fd, conf) :
									 unlinkat(dir_fd, aside, 0)))
		r = -errno;
	if (!r && unlinkat(dir_fd, list, 0))
		r = -errno;
	return r ? cannot(f, r, conf) : 0;
}

int conflist_remove(int dir_fd, struct fail_list *f)
{
	static const char *const lists[] = { ".conflist", NULL }, *const set_aside[] = { CONFLIST_ASIDE, NULL };
	auto_cleanup(names_done) struct names l = { }, a = { };
	int r = names_read(dir_fd, set_aside, &a), done = CONFLIST_AS_WANTED, err = 0;

	for (size_t i = 0; !r && i < a.n; i++) {
		err = restore(dir_fd, a.v[i], f) ?: err;
		done = CONFLIST_CHANGED;
	}
	r = r ?: names_read(dir_fd, lists, &l);
	if (r)
		return cannot(f, r, "the directory");
	for (size_t i = 0; i < l.n; i++) {
		auto_free char *text = NULL, *next = NULL;
		struct stat st = { };
		size_t len = 0, n = 0;

		r = text_read(dir_fd, l.v[i], &st, &text, &len);
		r = r ?: conflist_text_del(text, len, &next, &n);
		if (r < 0)
			continue; /* what we cannot read has no part of ours */
		if (r == CONFLIST_CHANGED) {
			r = text_write(dir_fd, l.v[i], &st, next, n);
			if (r)
				err = cannot(f, r, l.v[i]);
			done = CONFLIST_CHANGED;
		}
	}
	return err ? err : done;
}

/* ---- the program --------------------------------------------------------------------------------- */

int conflist_copy(const char *from, const char *bin_dir, struct fail_list *f)
{
	auto_close int dir = open(bin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st = { .st_mode = 0755, .st_uid = geteuid(), .st_gid = getegid() }, was;
	auto_free char *p = NULL, *old = NULL;
	size_t n = 0, k = 0;
	int r;

	if (dir < 0)
		return fail_add(f, -errno, "cni.bin-dir", bin_dir, "the directory of the node's CNI plugins", NULL,
				"cannot open it: %s", strerror(errno));
	r = read_all_path(from, PROGRAM_MAX, &p, &n);
	if (r)
		return fail_add(f, r, "cni.plugin", from, "the program cellwall-cni", NULL, "cannot read it: %s", strerror(-r));
	if (!fstatat(dir, CONFLIST_TYPE, &was, AT_SYMLINK_NOFOLLOW) && S_ISREG(was.st_mode) && (was.st_mode & 0111) &&
	    (size_t)was.st_size == n) {
		auto_close int fd = openat(dir, CONFLIST_TYPE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd >= 0 && !read_all_fd(fd, PROGRAM_MAX, &old, &k) && k == n && !memcmp(p, old, n))
			return CONFLIST_AS_WANTED;
	}
	r = text_write(dir, CONFLIST_TYPE, &st, p, n);
	return r ? fail_add(f, r, "cni.bin-dir", bin_dir, NULL, NULL, "cannot put the plugin there: %s", strerror(-r)) :
		   CONFLIST_CHANGED;
}

int conflist_uncopy(const char *bin_dir)
{
	auto_close int dir = open(bin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	return unlinkat(dir, CONFLIST_TYPE, 0) && errno != ENOENT ? -errno : 0;
}
