ROOMS += naive
naive_DIR := selftests/harness/policy
naive_TEST_ROOMS := naive policy identity base
