# shellcheck shell=bash
# The live shadow foretells what its rules do once they are in force, in alert mode; also over a kill.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080
serve p3 8080 9090
daemon_start
wl 1 shop web; wl 2 shop cart; wl 3 data db
wait_guards 3
mode ns/shop alert
mode ns/data alert
rule base allow '{any: true}' '{any: true}' any
DOC=$(printf 'apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: no-db}\nspec:\n  action: block\n  from: [{labels: {app: web}}]\n  to: [{namespace: data}]\n  ports: [tcp/8080]\n---\napiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: no-out}\nspec:\n  action: block\n  from: [{namespace: shop}]\n  to: [{cidr: 192.0.2.0/25}]\n  ports: [udp/54]\n')
BODY=$(jq -nc --arg t "$DOC" '{documents:[{file:"shadow.yaml",text:$t}],name:"no-db"}')
calls() { # every kind of access, so often
	local k
	for k in 1 2 3; do
		t p1 tcp "$(v4 p2)" 8080 500 && t p1 tcp "$(v4 p3)" 8080 500 && t p1 tcp "$(v6 p3)" 8080 500
		t p2 tcp "$(v4 p3)" 8080 500 && t p1 tcp "$(v4 p3)" 9090 500 && t p2 ask "$(v4 out)" 54 1 50
	done >/dev/null
	drain
}
calls # what was before the start is not the shadow's
must_post /v1/shadow "$BODY"
same "nothing seen yet" "0 0" "$(get /v1/shadow | jq -r '"\(.flows) \(.items|length)"')"
entries=$(get /v1/status | jq .node.entries)
calls
foretold() { get /v1/shadow | jq -r '.items[]|"\(.id) \(.src) \(.dst) \(.port) \(.effect) \(.flows) \(.by.rule)"' | sort -k2; }
foretold >$W/before
same "what breaks, on which port, how often, by what" \
	"shop/deploy/cart 192.0.2.2 udp/54 breaks 3 no-out;shop/deploy/web data/deploy/db tcp/8080 breaks 6 no-db" \
	"$(cut -d' ' -f2- $W/before | paste -sd';')"
same "all that came was judged" "18 5 3" "$(get /v1/shadow | jq -r '"\(.flows) \(.accesses) \(.unchanged)"')"
same "the node carries nothing of it" "$entries" "$(get /v1/status | jq .node.entries)"
same "and drops nothing for it" 0 "$(get /v1/counters | jq '[.counters.reasons[].dropped]|add // 0')"
calls
daemon_kill
daemon_again
wait_guards 3
calls
foretold >$W/after
same "counted over a kill: neither lost nor doubled" "9 18" "$(awk '{print $6}' $W/after | paste -sd' ')"
check "the command says so with its exit code" [ "$("$BUILD/bin/cellwall" --server unix://$SOCK shadow status >/dev/null 2>&1; echo $?)" = 1 ]
check "it ends" test "$(del /v1/shadow | jq -r .state)" = stopped

# The same rules live: the same accesses, as often.
flows_of() { drain; get "/v1/accesses?verdict=would-block" | jq -r '.items[]|"\(.id) \(.flows)"' | sort; }
same "nothing would be blocked before" "" "$(flows_of)"
get /v1/accesses | jq -r '.items[]|"\(.id) \(.flows)"' | sort >$W/was
must_post /v1/rules/apply "$(jq -c 'del(.name)' <<<"$BODY")"
calls
flows_of >$W/now
same "what was foretold is what happens, no more and no less" "$(cut -d' ' -f1 $W/before | sort | paste -sd' ')" "$(cut -d' ' -f1 $W/now | paste -sd' ')"
same "as often" "$(sort $W/before | awk '{print $1, $6}')" "$(join $W/now $W/was | awk '{print $1, $2 - $3}')"
