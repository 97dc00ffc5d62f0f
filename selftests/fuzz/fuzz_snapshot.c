/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_snapshot.c - the state that an agent finds on its disk. Odd inputs are the file as it is, even ones are
 * put into a file whose head and checksum are right, so that what is in it is looked at. What was
 * taken can be written and read again, and is the same.
 */
#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/htab.h"
#include "link/snapshot.h"
#include "link/uplink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/cw-fuzz-XXXXXX", path[64], aside[80];

static void clean(void)
{
	unlink(path);
	unlink(aside);
	rmdir(dir);
}

static void put(const uint8_t *data, size_t size, bool right)
{
	static const char head[] = "cellwall snapshot 1 n1\n";
	struct { uint32_t magic, len; uint64_t hash; } c = { htobe32(0x43574e4bu), htobe32((uint32_t)size), 0 };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert(fd >= 0);
	if (right) {
		c.hash = htobe64(hash_bytes(0x63656c6c77616c6cull, data, size));
		assert(write(fd, head, sizeof(head) - 1) == sizeof(head) - 1);
		assert(write(fd, &c, sizeof(c)) == sizeof(c));
	}
	assert(write(fd, data, size) == (ssize_t)size);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot *s = NULL, *again = NULL;
	struct replica *r = NULL, *same = NULL;
	struct fail_list f = { };
	char host[256], port[8], text[64];

	if (!*path) {
		assert(mkdtemp(dir));
		snprintf(path, sizeof(path), "%s/snapshot", dir);
		snprintf(aside, sizeof(aside), "%s.damaged", path);
		atexit(clean);
	}
	if (!size)
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)(size < 60 ? size : 60), (const char *)data);
	(void)uplink_address_parse(text, host, port);
	put(data + 1, size - 1, !(data[0] & 1));
	assert(!snapshot_open(path, "n1", &f, &s, &r));
	if (!f.n && replica_held(r).revision) {
		assert(!snapshot_note(s, r, NULL, 0));
		assert(!snapshot_open(path, "n1", &f, &again, &same));
		assert(!f.n && replica_held(same).digest == replica_held(r).digest);
	}
	fail_list_done(&f);
	snapshot_close(s);
	snapshot_close(again);
	replica_free(r);
	replica_free(same);
	return 0;
}
