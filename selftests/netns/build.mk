# Traffic tools of the end-to-end tests: not part of `all`.
NETNS_TOOLS := $(O)/netns/traffic $(O)/netns/counter
$(O)/netns/%: selftests/netns/src/%.c selftests/netns/src/wire.h
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -g -O2 -fno-strict-aliasing $(WARN) -o $@ $<
netns-tools: $(NETNS_TOOLS) ## build the traffic tools of the end-to-end tests
netns: all netns-tools ## end-to-end tests on real traffic (as root)
	@selftests/netns/run.sh $(O)
.PHONY: netns netns-tools
