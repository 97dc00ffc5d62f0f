ROOMS += adapters
adapters_DIR := cni-adapters
adapters_PKGS := libcjson
adapters_TEST_ROOMS := adapters net base
