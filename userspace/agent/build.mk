ROOMS += agent
agent_DIR := userspace/agent
agent_PKGS := libcjson libuv
agent_TEST_ROOMS := agent
