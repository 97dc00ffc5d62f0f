ROOMS += cluster
cluster_DIR := userspace/cluster
cluster_PKGS := libcjson
cluster_TEST_ROOMS := cluster policy identity base
