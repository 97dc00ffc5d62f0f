PROGRAMS += cellwalld
cellwalld_MAIN := userspace/daemon/main.c
cellwalld_ROOMS := agent controller config http store flow topology policy identity loader maps event \
	net adapters base
