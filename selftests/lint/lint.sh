#!/usr/bin/env bash
# lint.sh - rules of the house that a compiler does not check. One line "ok"/"not ok" per rule.
set -uo pipefail
cd "$(dirname "$0")/../.."
rc=0
src=$(git ls-files '*.c' '*.h')
# What git does not list was not looked at: an archive, or a tree of another owner.
[ -n "$src" ] || { echo "not ok lint: git lists no sources here"; exit 1; }
verdict() { # NAME, offending lines on stdin
	local l
	l=$(cat)
	if [ -z "$l" ]; then echo "ok $1"; else echo "not ok $1"; head -20 <<<"$l" | sed 's/^/  /'; rc=1; fi
}
strip='s://.*$::'

# Calls without a maximum, or with a shell.
verdict banned-calls < <(grep -nE '(^|[^a-zA-Z0-9_])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|strtok|alloca)[[:space:]]*\(' $src | grep -vE '^[^:]+:[0-9]+:[[:space:]]*(/?\*|//)')
verdict no-shell < <(grep -nE '(^|[^a-zA-Z0-9_])(system|popen)[[:space:]]*\(' $(git ls-files 'userspace/*.c' 'topology/*.c' 'cni-adapters/*.c'))
# Every source says its licence; the BPF side is dual.
verdict licence-line < <(for f in $src; do head -3 "$f" | grep -q SPDX-License-Identifier || echo "$f: no SPDX line"; done)
verdict bpf-licence < <(for f in $(git ls-files 'bpf/*.[ch]'); do head -3 "$f" | grep -q 'GPL-2.0-only OR BSD-2-Clause' || echo "$f"; done)
verdict header-guard < <(for f in $(git ls-files '*.h'); do grep -q '^#pragma once' "$f" || echo "$f: no #pragma once"; done)
# Who may include whom (docs/ARCHITECTURE.md).
only() { # PATTERN ALLOWED-PATHS-REGEX
	grep -nE "^#include [<\"]$1" $src | grep -vE "^($2)" | grep -v '^selftests/'
}
verdict includes-libbpf < <(only 'bpf/' 'bpf/|userspace/(loader|maps|event)/')
verdict includes-netlink < <(only '(netlink/|libmnl/)' 'userspace/net/')
verdict includes-uv < <(only 'uv\.h' 'userspace/(net|loader|event|http|agent|controller|daemon|ctl|lab|store|kube|wire|fleet|link)/')
verdict includes-tls < <(only 'openssl/' 'userspace/(wire|kube|http)/')
verdict includes-sqlite < <(only 'sqlite3' 'userspace/store/')
verdict includes-http < <(only '(libwebsockets|curl/)' 'userspace/(http|kube)/')
verdict includes-yaml < <(only 'yaml\.h' 'userspace/base/')
verdict bpf-headers-stay < <(grep -nE '^#include "(bpf/|maps\.h"|path\.h|work\.h|verdict\.h)' $(git ls-files 'userspace/*.[ch]' 'topology/*.[ch]' 'cni-adapters/*.[ch]') | grep -v 'maps/maps.h')
pure='userspace/(policy|identity|flow|cluster)/|topology/'
verdict pure-rooms < <(grep -nE '^#include <(uv|sys/socket|sys/stat|fcntl|unistd|pthread|sqlite3)\.h>' $(git ls-files | grep -E "^($pure).*\.[ch]$"))
# Unfinished business does not land.
verdict no-todo < <(git ls-files | grep -vE '^selftests/(lint|fuzz/corpus)/' | xargs grep -nIE '\b(TODO|FIXME|XXX|HACK)\b' 2>/dev/null)
# Test files of a room stand where the room stands.
verdict test-mirror < <(for d in $(git ls-files 'selftests/unit/*/test_*.c' | xargs -n1 dirname | sort -u); do [ -d "${d#selftests/unit/}" ] || echo "$d mirrors nothing"; done)
# Tables in tests may be wide.
verdict width < <(awk 'length($0) > 120 {print FILENAME ":" FNR ": " length($0) " columns"}' $(grep -v '^selftests/' <<<"$src"))
for f in $(git ls-files '*.sh'); do bash -n "$f" || { echo "not ok shell-syntax $f"; rc=1; }; done
echo "ok shell-syntax"
exit $rc
