/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "loader/features.h"
#include "loader/object.h"
#include "selftests/harness/own_ns.h"

static void words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FEAT_COUNT; i++) {
		enum feature f = FEAT_COUNT;

		assert_non_null(feature_text((enum feature)i));
		assert_int_equal(feature_parse(feature_str((enum feature)i), &f), 0);
		assert_int_equal(f, i);
	}
	enum feature f = FEAT_RINGBUF;
	assert_int_equal(feature_parse("no-such-thing", &f), -EINVAL);
	assert_int_equal(f, FEAT_RINGBUF);
	assert_null(feature_str(FEAT_COUNT));
}

static void force(void **state)
{
	struct features f = { .f[FEAT_TCX] = { .on = true } };

	(void)state;
	features_force(&f, FEAT_TCX, false);
	assert_false(features_has(&f, FEAT_TCX));
	assert_true(f.f[FEAT_TCX].forced);
	features_force(&f, FEAT_TCX, true);
	assert_true(features_has(&f, FEAT_TCX));
}

static bool ready;

/* This kernel has everything that its version promises; what is missing is printed. */
static void probe(void **state)
{
	struct features f;

	(void)state;
	if (!ready)
		skip();
	assert_int_equal(features_probe(OWN_ROOT, &f), 0);
	for (unsigned i = 0; i < FEAT_COUNT; i++)
		print_message("  %-20s %s%s%s\n", feature_str((enum feature)i), f.f[i].on ? "yes" : "no",
			      f.f[i].on ? "" : ": ", f.f[i].on ? "" : strerror(-f.f[i].err));
	/* What every kernel at the floor of 5.10 has. */
	assert_true(features_has(&f, FEAT_CLSACT));
	assert_true(features_has(&f, FEAT_RINGBUF));
	assert_true(features_has(&f, FEAT_TAIL_CALL));
	assert_true(features_has(&f, FEAT_MMAP_ARRAY));
	assert_true(features_has(&f, FEAT_BATCH_HASH));
	assert_true(features_has(&f, FEAT_MAP_IN_MAP));
	assert_true(features_has(&f, FEAT_BTF));
	assert_true(features_has(&f, FEAT_BPFFS));
	assert_true(features_has(&f, FEAT_JIFFIES));
	assert_int_equal(features_probe("/tmp", &f), 0);
	assert_false(features_has(&f, FEAT_BPFFS));
	/* The probes ran elsewhere: our loopback has no qdisc of theirs. */
	assert_int_equal(own_sh("tc qdisc show dev lo | grep -q clsact"), 1);
}

static void ticks(void **state)
{
	uint32_t a = 0, b = 0;

	(void)state;
	if (!ready)
		skip();
	assert_int_equal(loader_hz(&a), 0);
	assert_int_equal(loader_hz(&b), 0);
	print_message("  %u ticks a second\n", a);
	assert_int_equal(a, b);
	assert_true(a == 100 || a == 250 || a == 300 || a == 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(force),
		cmocka_unit_test(probe),
		cmocka_unit_test(ticks),
	};

	ready = own_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
