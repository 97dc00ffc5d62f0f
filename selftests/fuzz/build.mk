# Fuzzers: each selftests/fuzz/fuzz_NAME.c with fuzz_NAME_ROOMS, the rooms it links. Seeds lie in
# corpus/NAME/, a dictionary in NAME.dict. Everything is built by clang in $(O)/fuzz, so that the
# rooms are instrumented too. What a run finds stays in $(O)/fuzz/found/NAME/.
FUZZ_SECONDS ?= 60
FUZZ_SEED ?= 0
# Not empty: fuzz_NAME_RUNS inputs from seed 1, the same ones each time; so the checks run
FUZZ_FIXED ?=
FUZZERS := $(patsubst selftests/fuzz/%.c,%,$(wildcard selftests/fuzz/fuzz_*.c))

fuzz_json_ROOMS := base
fuzz_yaml_ROOMS := base
fuzz_strparse_ROOMS := policy identity base
fuzz_rule_doc_ROOMS := policy identity base
fuzz_kpolicy_ROOMS := policy identity base
fuzz_config_ROOMS := config base
fuzz_netlink_ROOMS := net base
fuzz_topology_ROOMS := topology base
fuzz_lab_wire_ROOMS := lab net base
fuzz_route_ROOMS := http base
fuzz_wire_ROOMS := wire policy identity base
fuzz_cert_ROOMS := wire policy identity base
fuzz_snapshot_ROOMS := link wire store flow policy identity base
fuzz_cni_ROOMS := agent adapters cniplugin base
fuzz_kubeconfig_ROOMS := kube base
fuzz_kube_items_ROOMS := kube base
fuzz_cluster_ROOMS := cluster policy identity base
fuzz_api_ROOMS := controller cluster topology store flow identity policy http base

# 5 to 20 s each on one CPU.
fuzz_json_RUNS := 1000000
fuzz_yaml_RUNS := 150000
fuzz_strparse_RUNS := 200000
fuzz_rule_doc_RUNS := 250000
fuzz_kpolicy_RUNS := 120000
fuzz_config_RUNS := 15000
fuzz_netlink_RUNS := 4000000
fuzz_topology_RUNS := 12000
fuzz_lab_wire_RUNS := 12000000
fuzz_route_RUNS := 4000000
fuzz_cert_RUNS := 5000
fuzz_snapshot_RUNS := 20000
fuzz_cni_RUNS := 300000
fuzz_kubeconfig_RUNS := 60000
fuzz_kube_items_RUNS := 50000
fuzz_cluster_RUNS := 15000
fuzz_api_RUNS := 12000
fuzz_parse_RUNS := 8000000
fuzz_dns_RUNS := 1500000

define fuzz_rules
$$(O)/obj/selftests/fuzz/$(1).o: ROOM_CFLAGS = $$(call pkg_cflags,$$(sort $$(foreach r,$$($(1)_ROOMS),$$($$(r)_PKGS))))
$$(O)/bin/$(1): $$(O)/obj/selftests/fuzz/$(1).o $$(O)/obj/selftests/fuzz/fixed/random.o $$($(1)_ROOMS:%=$$(O)/lib/%.a)
	$$(call say,LD,$(1))
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -fsanitize=fuzzer -o $$@ $$(filter %.o,$$^) $$(call room_libs,$$($(1)_ROOMS))
fuzz-run-$(1): $$(O)/bin/$(1)
	$$(Q)O=$$(O) selftests/fuzz/run.sh $(1) $$(FUZZ_SECONDS) $$(FUZZ_SEED) $$(and $$(FUZZ_FIXED),$$(or $($(1)_RUNS),100000))
.PHONY: fuzz-run-$(1)
-include $$(wildcard $$(O)/obj/selftests/fuzz/$(1).d)
endef
$(foreach f,$(FUZZERS),$(eval $(call fuzz_rules,$(f))))

# In the output directory of its own, with the fuzzer's compiler and flags.
fuzz-bins: $(FUZZERS:%=$(O)/bin/%)
fuzz-run: $(FUZZERS:%=fuzz-run-%)

FUZZ_MAKE = $(MAKE) --no-print-directory O=$(O)/fuzz CC=$(CLANG) OPT=-O1 \
	SAN=fuzzer-no-link,address,undefined FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) FUZZ_FIXED=$(FUZZ_FIXED)
fuzz: ## every fuzzer for FUZZ_SECONDS (60)
	$(Q)+$(FUZZ_MAKE) fuzz-run
fuzz-short: ## every fuzzer for 5 s
	$(Q)+$(FUZZ_MAKE) FUZZ_SECONDS=5 fuzz-run
.PHONY: fuzz fuzz-short fuzz-bins fuzz-run
