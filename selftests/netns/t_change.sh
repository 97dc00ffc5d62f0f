# shellcheck shell=bash
# Changes under load: what stays allowed never stalls, what is blocked never passes; a change with
# a window goes back by itself, also over a restart.
node_up
for n in 1 2 3; do pod_up $n; done
serve p2 8080 9090
daemon_start
wl 1 shop web; wl 2 shop cart; wl 3 data db
wait_guards 3
rule base allow '{namespace: shop}' '{namespace: shop}' 'tcp/8080, udp/8080'
mode ns/shop enforce
bg p1 connects "$(v4 p2)" 8080 2000 >$W/connects &
P1=$!
bg p1 stream "$(v6 p2)" 8080 5 >$W/stream 2>/dev/null &
P2=$!
count_start a p1 eth0
count_start b p2 eth0
bg p1 send 1 "$(v4 p2)" 8080 1000000 32 200 40001 >$W/s1 &
P3=$!
bg p1 send 2 "$(v4 p2)" 9090 1000000 32 200 40002 >$W/s2 &
P4=$!
bg p1 fresh 3 "$(v6 p2)" 9090 1000000 500 >$W/s3 &
P5=$!
sleep 0.2
for k in $(seq 12); do
	rule "extra-$k" allow "{cidr: 198.18.$k.0/24}" '{namespace: shop}' "tcp/$((1000 + k))"
	rule also block '{namespace: data}' '{namespace: shop}' "tcp/$((2000 + k))"
	[ $((k % 3)) != 0 ] || wl 1 shop web "web$k"
	[ $((k % 4)) != 0 ] || rule_del "extra-$k"
done
kill -TERM $P1 $P2 $P3 $P4 $P5
wait $P1 $P2 $P3 $P4 $P5
sleep 0.1
count_stop a
count_stop b
like "connections: none failed ($(cat $W/connects))" " bad 0" "$(cat $W/connects)"
read -r s e < <(sed 's/.*sent \([0-9]*\) echoed \([0-9]*\) .*/\1 \2/' $W/stream)
within "the standing connection lost nothing" 0 1 $((s - e))
same "datagrams: as many arrived as were sent" "$(out_of a 1)" "$(in_of b 1)"
same "all answers came back" "$(out_of b 1)" "$(in_of a 1)"
same "blocked: none of $(out_of a 2) and $(out_of a 3) arrived" "0 0" "$(in_of b 2) $(in_of b 3)"
same "the node is in step" true "$(get /v1/status | jq .node.inSync)"

# Windows.
must_post '/v1/modes/set?accept=not-ready&confirm=1s' '{"refs":["ns/data"],"mode":"enforce"}'
same "in force" timeout "$(t p3 tcp "$(v4 out)" 8080 200 | sed s/refused/passed/)"
gone_back() { [ "$(t p3 tcp "$(v4 out)" 8080 200)" = refused ]; }
check "went back by itself" until_true 4 gone_back
must_post '/v1/modes/set?accept=not-ready&confirm=2s' '{"refs":["ns/data"],"mode":"enforce"}'
same "in force again" timeout "$(t p3 tcp "$(v4 out)" 8080 200 | sed s/refused/passed/)"
daemon_kill
sleep 2
daemon_again
check "went back although the daemon had died in the window" until_true 5 gone_back
g=$(post '/v1/modes/set?accept=not-ready&confirm=1s' '{"refs":["ns/data"],"mode":"enforce"}' | jq .generation.to)
must_post "/v1/changes/$g/confirm" '{}'
sleep 1.5
same "kept when confirmed" timeout "$(t p3 tcp "$(v4 out)" 8080 200 | sed s/refused/passed/)"
# Bad input changes nothing.
g=$(get /v1/status | jq .generation)
post /v1/rules/apply '{"documents":[{"file":"x.yaml","text":"apiVersion: cellwall.io/v1alpha1\nkind: ClusterAccessRule\nmetadata: {name: x}\nspec: {action: maybe}\n"}]}' >$W/bad && not_ok "a bad rule was taken"
like "a bad rule names its field" "action" "$(cat $W/bad)"
post /v1/modes/set '{"refs":["ns/data"],"mode":"sometimes"}' >$W/bad && not_ok "a bad mode was taken"
same "no generation was made" "$g" "$(get /v1/status | jq .generation)"
