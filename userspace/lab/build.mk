ROOMS += lab
lab_DIR := userspace/lab
lab_PKGS := libcjson
lab_EXCLUDE := userspace/lab/main.c
lab_TEST_ROOMS := lab net base

PROGRAMS += cellwall-lab
cellwall-lab_MAIN := userspace/lab/main.c
cellwall-lab_ROOMS := lab net base

# the test of the real lab starts the real helper
$(O)/test/userspace/lab/test_lab: | $(O)/bin/cellwall-lab
