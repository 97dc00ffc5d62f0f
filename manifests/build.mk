# The container image.
IMAGE ?= cellwall.io/cellwall:$(VERSION)
images: all ## the container image as $(O)/image/cellwall.tar (an OCI layout; docker load reads it, too)
	@mkdir -p $(O)/image
	$(call say,IMAGE,$(IMAGE))
	$(Q)manifests/image/build.sh $(O) $(O)/image/cellwall.tar $(IMAGE) >$(O)/image/digest
	@echo "$(O)/image/cellwall.tar $$(cat $(O)/image/digest)"
.PHONY: images
