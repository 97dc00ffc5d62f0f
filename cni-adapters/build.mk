ROOMS += adapters
adapters_DIR := cni-adapters
adapters_PKGS := libcjson
adapters_TEST_ROOMS := adapters cniplugin net base

# The chained plugin. Static: it is copied to nodes that have none of our libraries; a sanitized
# one cannot be.
ROOMS += cniplugin
cniplugin_DIR := cni-adapters/plugin
cniplugin_EXCLUDE := cni-adapters/plugin/main.c
cniplugin_TEST_ROOMS := cniplugin base
CNI_OBJS := $(O)/obj/cni-adapters/plugin/main.o $(O)/lib/cniplugin.a $(patsubst %,$(O)/obj/userspace/base/%.o,buf file strparse)
$(O)/bin/cellwall-cni: $(CNI_OBJS)
	$(call say,LD,cellwall-cni)
	@mkdir -p $(@D)
	$(Q)$(CC) $(if $(SAN)$(COV),$(LDFLAGS),$(filter-out -pie,$(LDFLAGS)) -static-pie) -o $@ $(CNI_OBJS)
all: $(O)/bin/cellwall-cni
-include $(wildcard $(O)/obj/cni-adapters/plugin/main.d)
