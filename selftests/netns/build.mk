# Traffic tools of the end-to-end tests, and a daemon whose flow table has another layout: not
# part of `all`.
NETNS_TOOLS := $(O)/netns/traffic $(O)/netns/counter $(O)/netns/names $(O)/netns/rawsend
$(NETNS_TOOLS): $(O)/netns/%: selftests/netns/src/%.c selftests/netns/src/wire.h
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -g -O2 -fno-strict-aliasing $(WARN) -o $@ $<
$(O)/netns/%.bpf.o: selftests/netns/src/%.bpf.c
	$(call say,BPF,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -O2 -g -mcpu=v3 -Wall -Wextra -idirafter /usr/include/$(MULTIARCH) -c $< -o $@
# A container runtime's part; with the plugin's own reader of configurations.
CNIRUN_DEPS := $(O)/obj/selftests/netns/src/cnirun.o $(O)/lib/cniplugin.a $(patsubst %,$(O)/obj/userspace/base/%.o,buf file strparse)
$(O)/netns/cnirun: $(CNIRUN_DEPS)
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(CNIRUN_DEPS)
-include $(wildcard $(O)/obj/selftests/netns/src/cnirun.d)
netns-tools: $(NETNS_TOOLS) $(O)/netns/foreign.bpf.o $(O)/netns/cnirun $(O)/netns/redir.bpf.o
netns-layout:
	@mkdir -p $(O)/netns
	$(Q)CPPFLAGS=-DCW_TEST_LAYOUT cw_tc_BPFFLAGS=-DCW_TEST_LAYOUT cw_xdp_BPFFLAGS=-DCW_TEST_LAYOUT \
		$(MAKE) -s --no-print-directory O=$(O)/netns/layout $(O)/netns/layout/bin/cellwalld
netns: all ## end-to-end tests on real traffic (as root)
	@selftests/netns/run.sh $(O)
.PHONY: netns netns-tools netns-layout
