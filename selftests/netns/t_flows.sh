# shellcheck shell=bash
# What becomes of flows that stand when a change is made: cut, keep, reset; by rule and by mode.
F=$PWD/selftests/netns/src/flows.py
KINDS="tcp4 tcp6 udp4 udp6"
HELD=()
addr_of() { case $1 in *4) v4 p2 ;; *) v6 p2 ;; esac; }
flows_start() { # one of each kind from p1 to p2
	local k
	for k in "$@"; do
		rm -f $W/hold.$k
		ip netns exec p1 "$F" hold "$(addr_of $k)" 8080 "${k%?}" $W/hold.$k 2>/dev/null &
		HELD+=($!)
	done
	for k in "$@"; do until_true 5 answered_more $k 2 || not_ok "$k does not begin"; done
}
flows_end() {
	kill -TERM "${HELD[@]}" 2>/dev/null
	wait "${HELD[@]}" 2>/dev/null
	HELD=()
}
answered() { awk '{print $1}' $W/hold.$1; }
state() { awk '{print $2}' $W/hold.$1; }
# What the server heard of it: connections that were cut before linger there, and end when they like.
server_state() { awk -v p="$(awk '{print $3}' $W/hold.$1)" '$1 == p {print $2; exit}' $W/serve; }
answered_more() { [ -s $W/hold.$1 ] && [ "$(answered $1)" -gt "$2" ]; }
go_on() { # NAME KIND...
	local name=$1 k n
	shift
	for k in "$@"; do
		n=$(answered $k)
		check "$name: $k goes on" until_true 2 answered_more $k $((n + 10))
	done
}
stand_still() { # NAME KIND...: what was under way has arrived, and nothing after it
	local name=$1 k
	local -A n
	shift
	sleep 0.3
	for k in "$@"; do n[$k]=$(answered $k); done
	sleep 0.6
	for k in "$@"; do same "$name: $k is cut" "${n[$k]}" "$(answered $k)"; done
}
# base ACTION FLOWS [EXTRA QUERY]: the rule that all of it is about; the answer in $W/plan
base() {
	local doc
	doc=$(printf 'apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: base}\nspec:\n  action: %s\n  from: [{labels: {app: web}}]\n  to: [{labels: {app: cart}}]\n  ports: [tcp/8080, udp/8080]\n' "$1")
	post "/v1/rules/apply?accept=not-ready&flows=$2${3:+&$3}" "$(jq -nc --arg t "$doc" '{documents:[{file:"t.yaml",text:$t}]}')" >$W/plan ||
		not_ok "base $1 $2: $(head -c 300 $W/plan)"
}
plan() { jq -r "$1" $W/plan; }

node_up
for n in 1 2; do pod_up $n; done
ip netns exec p2 "$F" serve 8080 $W/serve &
until_true 5 listening p2 8080 || bail "no echo server"
daemon_start
wl 1 shop web; wl 2 shop cart
wait_guards 2
base allow cut
mode ns/shop enforce

# keep: what passes goes on, new ones feel the change, and a later cut ends it.
flows_start $KINDS
base block keep dryRun=1
same "the plan of keep ends none" "0 4 0 4" "$(plan '"\(.flowCounts.cut) \(.flowCounts.kept) \(.flowsCut|length) \(.flowsKept|length)"')"
base block keep
same "nor does the receipt" "0 4 live flows kept" "$(plan '"\(.receipts[0].flowsCut) \(.receipts[0].note)"')"
go_on keep $KINDS
same "keep: new connections are refused" "timeout timeout" "$(t p1 tcp "$(v4 p2)" 8080 300) $(t p1 tcp "$(v6 p2)" 8080 300)"
rule beside allow '{namespace: data}' '{namespace: data}' 'tcp/1'
go_on "a change elsewhere" tcp4 udp6
base allow keep
base block keep
go_on "kept through several" $KINDS
post '/v1/modes/set?accept=not-ready&dryRun=1' '{"refs":["ns/shop"],"default":"allow"}' >$W/plan
same "the plan of a cut sees what was kept" 4 "$(plan .flowCounts.cut)"
post '/v1/modes/set?accept=not-ready' '{"refs":["ns/shop"],"default":"allow"}' >$W/plan
same "and so does its receipt" 4 "$(plan '.receipts[0].flowsCut')"
stand_still "cut after keep" $KINDS
flows_end

# cut: at the next packet, both ways.
base allow cut
flows_start $KINDS
base block cut
open='[.[]|select(.state=="open")]|length' # those before are closing still
same "cut: counted" "4 cut true" "$(plan "\"\(.flowsCut|$open) \(.flows) \(.flowCounts.cut==.receipts[0].flowsCut)\"")"
stand_still cut $KINDS
same "cut without a word" "open open" "$(state tcp4) $(state tcp6)"
flows_end

# reset: both ends of TCP are told at once.
base allow cut
flows_start $KINDS
: >$W/serve
base block reset
told() {
	[ "$(state tcp4) $(state tcp6) $(server_state tcp4) $(server_state tcp6)" = "reset reset reset reset" ]
}
check "reset: both ends of both are told within a second" until_true 1 told
note "client $(state tcp4) $(state tcp6), server $(tr '\n' ' ' <$W/serve)"
stand_still reset udp4 udp6
flows_end

# reset where only the receiver's side blocks.
base allow cut
flows_start tcp4 tcp6
: >$W/serve
must_post /v1/workloads '{"namespace":"shop","name":"p2","netns":"p2","labels":{"app":"cart","side":"in"},"controller":{"kind":"Deployment","name":"cart"}}'
settle
go_on "a label that no rule asks for" tcp4 tcp6
doc=$(printf 'apiVersion: cellwall.io/v1alpha1\nkind: AccessRule\nmetadata: {name: inward, namespace: shop}\nspec:\n  action: block\n  from: [{labels: {app: web}}]\n  to: [{labels: {side: in}}]\n  ports: [tcp/8080]\n')
must_post "/v1/rules/apply?flows=reset" "$(jq -nc --arg t "$doc" '{documents:[{file:"t.yaml",text:$t}]}')"
check "reset by the receiver's side too" until_true 1 told
flows_end
rule_del shop/inward

# A change of mode moves the workloads to other groups.
mode ns/shop alert
base block cut
flows_start $KINDS
post '/v1/modes/set?accept=not-ready&flows=keep' '{"refs":["ns/shop"],"mode":"enforce"}' >$W/plan
same "mode: none ends" "0 4" "$(plan "\"\(.flowCounts.cut) \(.flowsKept|$open)\"")"
go_on "alert to enforce with keep" $KINDS
same "mode: new connections are refused" "timeout timeout" "$(t p1 tcp "$(v4 p2)" 8080 300) $(t p1 tcp "$(v6 p2)" 8080 300)"
# What stands in a group that was made by a keep stands through the next one too.
base alert keep
base block keep
go_on "through the next keep" $KINDS
# An emergency ends them whatever was said before.
quarantine shop/pod/p2
stand_still "quarantine after keep" $KINDS
flows_end
same "the history tells how" "cut keep keep keep cut cut" "$(get '/v1/changes?limit=6' | jq -r '[.items[].flows]|join(" ")')"
