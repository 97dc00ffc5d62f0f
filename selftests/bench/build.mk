# Measuring tools: not part of `all`.
$(O)/bench/%.bpf.o: selftests/bench/bpf/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -O2 -g -mcpu=v3 -Wall -idirafter /usr/include/$(MULTIARCH) -c $< -o $@
$(O)/bench/prices: selftests/bench/prices.c bpf/include/cw_abi.h
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -fno-strict-aliasing -Wall -Wextra -Ibpf/include -o $@ $< \
		$(call pkg_libs,libbpf) -lpthread
bench-tools: $(O)/bench/prices $(O)/bench/ref.bpf.o $(O)/bench/walk.bpf.o
.PHONY: bench-tools

bench_compile_ROOMS := policy identity base
$(O)/bench/compile: $(O)/obj/selftests/bench/bench_compile.o $(patsubst %,$(O)/lib/%.a,$(bench_compile_ROOMS))
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(call room_libs,$(bench_compile_ROOMS))
$(O)/bench/policies: $(O)/obj/selftests/bench/bench_policies.o $(patsubst %,$(O)/lib/%.a,$(bench_compile_ROOMS))
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(call room_libs,$(bench_compile_ROOMS))
bench-compile: $(O)/bench/compile $(O)/bench/policies
	$(Q)$(O)/bench/compile
	$(Q)$(O)/bench/policies
.PHONY: bench-compile

bench_fleet_ROOMS := fleet wire policy identity base
$(O)/obj/selftests/bench/bench_fleet.o: ROOM_CFLAGS = $(call pkg_cflags,libcjson libuv openssl)
$(O)/bench/fleet: $(O)/obj/selftests/bench/bench_fleet.o $(patsubst %,$(O)/lib/%.a,$(bench_fleet_ROOMS))
	$(call say,LD,$(@F))
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(call room_libs,$(bench_fleet_ROOMS))
BENCH_NODES ?= 5000
bench-fleet: $(O)/bench/fleet ## one controller's end and BENCH_NODES (5000) agents that speak the real protocol
	$(Q)$(O)/bench/fleet $(BENCH_NODES)
.PHONY: bench-fleet
