ROOMS += ctl
ctl_DIR := userspace/ctl
ctl_PKGS := libcjson libcurl libuv
ctl_TEST_ROOMS := ctl topology policy identity http base
