/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors cni-adapters/registry.c */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "cni-adapters/adapter.h"

static int asked_with;

static int sure(int fd)
{
	asked_with = fd;
	return 80;
}

static int little(int fd)
{
	(void)fd;
	return 5;
}

static int never(int fd)
{
	(void)fd;
	return 0;
}

static void surest_wins(void **state)
{
	static const struct cni_adapter a = { "a", little, NULL }, b = { "b", sure, NULL };
	static const struct cni_adapter c = { "c", sure, NULL }, d = { "d", never, NULL };
	const struct cni_adapter *const all[] = { &d, &a, &b, &c }, *const none[] = { &d };

	(void)state;
	assert_ptr_equal(cni_adapter_surest(all, 4, 9), &b);
	assert_int_equal(asked_with, 9);
	assert_ptr_equal(cni_adapter_surest(all, 2, 9), &a);
	assert_null(cni_adapter_surest(none, 1, 9));
	assert_null(cni_adapter_surest(NULL, 0, 9));
}

static void generic_fits_everywhere(void **state)
{
	(void)state;
	assert_ptr_equal(cni_adapter_pick(-1), &cni_generic_veth);
}

/* Of the directory the runtime takes the first file by name. */
static void known_by_configuration(void **state)
{
	static const struct { const char *name, *text; bool cilium; } f[] = {
		{ "50-later.conflist", "{\"plugins\":[{\"type\":\"cilium-cni\"}]}", true },
		{ "10-first.conf", "{\"type\":\"bridge\"}", false },
		{ "09-chain.conflist", "{\"plugins\":[{\"type\":\"portmap\"},{\"type\":\"cilium-cni\"}]}", true },
		{ "08-broken.conf", "{\"type\":", false },
		{ "07-odd.json", "{\"plugins\":{\"a\":1},\"type\":[\"cilium-cni\"]}", false },
		{ "00-readme.txt", "{\"type\":\"cilium-cni\"}", false },
		{ "06-plain.conf", "{\"type\":\"cilium-cni\"}", true },
	};
	char dir[] = "/tmp/cw-conf-XXXXXX", path[128];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_false(cni_conf_has(fd, "cilium-cni"));
	assert_false(cni_conf_has(-1, "cilium-cni"));
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		bool was = cni_conf_has(fd, "cilium-cni"), text = strstr(f[i].name, ".txt");
		FILE *o;

		snprintf(path, sizeof(path), "%s/%s", dir, f[i].name);
		o = fopen(path, "w");
		assert_non_null(o);
		fputs(f[i].text, o);
		fclose(o);
		print_message("  %s\n", f[i].name);
		assert_int_equal(cni_conf_has(fd, "cilium-cni"), text ? was : f[i].cilium);
		assert_ptr_equal(cni_adapter_pick(fd), (text ? was : f[i].cilium) ? &cni_cilium : &cni_generic_veth);
	}
	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, f[i].name);
		unlink(path);
	}
	close(fd);
	rmdir(dir);
}

static bool odd(void *arg, uint64_t inode)
{
	++*(int *)arg;
	return inode & 1;
}

static void packet_sockets(void **state)
{
	static const char text[] =
		"sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n"
		"0000000000000000 3      3    0003   7     1 0      0      101\n"
		"0000000000000000 3      3    0003   8     1 0      0      102\n"
		"0000000000000000 3      3    0003   0     1 0      0      103\n" /* on every device: a dump */
		"0000000000000000 3      3    0806   9     1 0      0      105\n" /* one protocol */
		"0000000000000000 3      3    0003   9     0 0      0      107\n" /* closed */
		"a line that is none\n"
		"0000000000000000 3      3    0003   9";
	struct cni_tap *t;
	size_t n;
	int asked = 0;

	(void)state;
	assert_int_equal(cni_taps_parse(text, odd, &asked, &t, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(asked, 2);
	assert_int_equal(t[0].ifindex, 7);
	assert_true(t[0].forwards);
	assert_int_equal(t[1].ifindex, 8);
	assert_false(t[1].forwards);
	free(t);
	assert_int_equal(cni_taps_parse("", odd, &asked, &t, &n), 0);
	assert_int_equal(n, 0);
	free(t);
}

static void words(void **state)
{
	(void)state;
	assert_string_equal(cni_side_str(CNI_SIDE_HOST), "host");
	assert_string_equal(cni_side_str(CNI_SIDE_POD), "pod");
	assert_string_equal(cni_side_str(CNI_SIDE_NONE), "-");
	assert_string_equal(cni_side_str((enum cni_side)99), "?");
	assert_string_equal(cni_guard_str(CNI_GUARDED), "guarded");
	assert_string_equal(cni_guard_str(CNI_BYPASSABLE), "bypassable");
	assert_string_equal(cni_guard_str(CNI_BLIND), "blind");
	assert_string_equal(cni_guard_str((enum cni_guard)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(surest_wins),
		cmocka_unit_test(generic_fits_everywhere),
		cmocka_unit_test(known_by_configuration),
		cmocka_unit_test(packet_sockets),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
