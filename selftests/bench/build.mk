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

PROGRAMS += bench_compile
bench_compile_MAIN := selftests/bench/bench_compile.c
bench_compile_ROOMS := policy identity base
