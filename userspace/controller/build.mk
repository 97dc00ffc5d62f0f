ROOMS += controller
controller_DIR := userspace/controller
controller_PKGS := libcjson libuv
controller_TEST_ROOMS := controller cluster topology store flow identity policy http base
