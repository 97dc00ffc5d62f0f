/* SPDX-License-Identifier: Apache-2.0 */
/* mirrors cni-adapters/registry.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
