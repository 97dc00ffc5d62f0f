ROOMS += config
config_DIR := userspace/config
config_PKGS := libcjson
config_TEST_ROOMS := config policy identity base
