ROOMS += identity
identity_DIR := userspace/identity
identity_PKGS := libcjson
identity_TEST_ROOMS := identity policy base
