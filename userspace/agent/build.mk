ROOMS += agent
agent_DIR := userspace/agent
agent_PKGS := libcjson libuv
agent_TEST_ROOMS := agent loader maps event net adapters cniplugin http policy identity base
