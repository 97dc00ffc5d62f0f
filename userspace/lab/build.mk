ROOMS += lab
lab_DIR := userspace/lab
lab_PKGS := libcjson libuv
lab_TEST_ROOMS := lab net base
