ROOMS += topology
topology_DIR := topology
topology_PKGS := libcjson
topology_TEST_ROOMS := topology base
