ROOMS += policy
policy_DIR := userspace/policy
policy_PKGS := libcjson yaml-0.1
policy_TEST_ROOMS := policy naive identity base
