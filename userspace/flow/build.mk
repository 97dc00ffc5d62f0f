ROOMS += flow
flow_DIR := userspace/flow
flow_PKGS := libcjson
flow_TEST_ROOMS := flow identity policy base
