ROOMS += base
base_DIR := userspace/base
base_PKGS := libcjson yaml-0.1
base_LIBS := -lm
base_TEST_ROOMS := base
