# shellcheck shell=bash
# Bad input against the running system: each case of the catalogues in selftests/errors, and wrong
# uses of the command line, is refused by a daemon that enforces, and after each one the policy in
# force is what it was, byte for byte.
node_up
pod_up 1
pod_up 2
serve p2 8080
daemon_start
wl 1 shop web
wl 2 shop cart
wait_guards 2
rule base allow '{namespace: shop}' '{namespace: shop}' 'tcp/8080'
mode ns/shop enforce
cli() { "$BUILD/bin/cellwall" --server "unix://$SOCK" "$@"; }

# Every table a verdict is read from, as the kernel holds it; `used` marks and counters are not policy.
PIN=$(find /run/bpf/cw -name map_cw_word | head -1)
PIN=${PIN%cw_word}
in_force() { bpftool -j map dump pinned "${PIN}cw_word" | md5sum; }
everything() {
	local m
	for m in cw_word cw_since cw_rowtab cw_rows cw_verdicts cw_peers cw_ep cw_named cw_dns_pattern cw_svc; do
		bpftool -j map dump pinned "$PIN$m" | md5sum
	done
	for m in cw_addr4 cw_addr6 cw_net4 cw_net6; do
		bpftool -j map dump pinned "$PIN$m" | jq -c '.[]|(.formatted // .)|[.key, (.value|if type=="object" then del(.used) else .[0:13] + .[14:] end)]' | sort | md5sum
	done
	get /v1/rules | jq -S '.items' | md5sum
	get /v1/modes | jq -S '.items' | md5sum
	get /v1/workloads | jq -S '[.items[]|{namespace,name,labels,mode}]' | md5sum
	cli rule export --origin all 2>&1 | md5sum
}
[ -n "$PIN" ] || bail "no tables are pinned"
everything >$W/before
FORCE=$(in_force)
GEN=$(get /v1/status | jq .meta.generation)

refused=0 cases=0
# tried NAME EXIT-CODES COMMAND...: refused, in words, and nothing moved.
tried() {
	local name=$1 codes=$2 rc said
	shift 2
	cases=$((cases + 1))
	said=$("$@" 2>&1 </dev/null)
	rc=$?
	if [[ " $codes " != *" $rc "* ]]; then
		not_ok "$name: exit $rc instead of $codes: ${said:0:200}"
	elif [[ ${said,,} != *error* ]]; then
		not_ok "$name: no error is told: ${said:0:200}"
	elif [ "$(in_force)" != "$FORCE" ]; then
		not_ok "$name: the tables in force changed"
		FORCE=$(in_force)
	else
		refused=$((refused + 1))
	fi
}

# A catalogue's inputs, each to a file of its own: NUMBER.KIND
mkdir -p $W/cases
awk -v dir=$W/cases '
	function head(kind) {
		if (kind == "rule spec") return "apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: x}\nspec:\n"
		if (kind == "mode spec") return "apiVersion: cellwall.io/v1alpha1\nkind: ModeProfile\nmetadata: {name: x}\nspec:\n"
		if (kind == "quarantine spec") return "apiVersion: cellwall.io/v1alpha1\nkind: Quarantine\nmetadata: {name: x}\nspec:\n"
		if (kind == "inventory spec") return "apiVersion: cellwall.io/v1alpha1\nkind: Inventory\nspec:\n"
		return ""
	}
	/^=== / { n++; out = ""; next }
	/^--- want/ { if (out != "") close(out); out = ""; next }
	/^--- / {
		kind = substr($0, 5); spec = kind ~ / spec$/
		f = kind; gsub(/ /, "-", f)
		out = sprintf("%s/%03d.%s", dir, n, f)
		printf "%s", head(kind) > out
		next
	}
	out != "" { print (spec && $0 != "" ? "  " : "") $0 > out }
' selftests/errors/*.txt
[ "$(find $W/cases -type f | wc -l)" -ge 60 ] || bail "the catalogues hold too few cases"
for f in "$W"/cases/*; do
	case $f in
	*.config) tried "config ${f##*/}" 2 "$BUILD/bin/cellwalld" --config "$f" --set "api.socket=$SOCK" --set paths.pins=/run/bpf/cw --set paths.state=$W/state ;;
	*.workload) tried "workload ${f##*/}" "1 2 6" post /v1/workloads "$(cat "$f")" ;;
	*) tried "apply ${f##*/}" "1 2 6" cli rule apply -y -f "$f" ;;
	esac
done
note "$refused of $cases malformed documents refused"
while read -r line; do
	# shellcheck disable=SC2086 # words on purpose
	tried "cellwall $line" "1 2 6" cli $line
done <<-'END'
	rule creat x
	rule create x --action permit --src ns/shop --dst ns/shop
	rule create x --action allow --src ns/shop --dst ns/shop --port tcp/9000-8000
	rule create Bad_Name --action allow --src ns/shop --dst ns/shop
	rule delete no-such-rule -y
	rule enable no-such-rule
	rule apply -y
	rule apply -y -f /run/no-such-file
	mode set enforce
	mode set enforced -n shop -y
	mode set enforce -n no-such-namespace -y --accept nothing
	mode set enforce shop/deploy/nobody -y
	quarantine add shop/pod/nobody --reason x
	quarantine add shop/pod/p1
	quarantine release shop/pod/p1
	access confirm zzzz
	access reject
	change revert 999
	change confirm 999
	workload remove shop/pod/nobody -y
	workload add x --netns /no/such/netns --namespace shop --labels a=b
	status --no-such-flag
END
note "$refused of $cases refused"
same "each malformed input is refused and told" "$cases" "$refused"
everything >$W/after
same "every table and list is byte for byte what it was" "$(cat $W/before)" "$(cat $W/after)"
same "the generation too" "$GEN" "$(get /v1/status | jq .meta.generation)"
same "and what was allowed is allowed" ok "$(t p1 tcp "$(v4 p2)" 8080 1000)"
