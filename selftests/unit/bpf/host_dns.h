/* SPDX-License-Identifier: Apache-2.0 */
/* host_dns.h - bpf/dns_wire.h on the host; see host_parse.h. */
#pragma once

#include "selftests/unit/bpf/host_parse.h"

#include "bpf/dns_wire.h"
