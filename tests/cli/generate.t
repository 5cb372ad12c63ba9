#!/bin/sh
# Checkpoints and what is made of them: kept by runs, read by --init and `bench generate`.
. tests/cli/tap.sh
export XDG_DATA_HOME="$dir/share" BENCH_DATA="$dir/data"
net=${BENCH_BUILD:-build/release}/tests/plugins/bench-sequences.so
kept="$dir/checkpoints"
for i in $(seq 200); do echo "the cat sat on mat $i"; done >"$dir/a.txt"

# ---- checkpoints
bench run "$net:reverse" --epochs 1 --threads 1 --json
is $status 0 "reverse: runs"
is "$(json "$dir/out" runs 0 checkpoint)" "$kept/sequences-reverse.safetensors" "and keeps its parameters beside the database"
ok "$(test -s "$kept/sequences-reverse.safetensors"; echo $?)" "where it says"
grep -aq '"format":"bench-checkpoint 1"' "$kept/sequences-reverse.safetensors"; ok $? "format"
grep -aq '"task":"reverse:20"' "$kept/sequences-reverse.safetensors"; ok $? "task"
grep -aq '"metrics":"{.*accuracy' "$kept/sequences-reverse.safetensors"; ok $? "metrics"
accuracy=$(json "$dir/out" runs 0 metrics accuracy)
bench run "$net:reverse" --init "$kept/sequences-reverse.safetensors" --epochs 0 --threads 1 --json
is "$(json "$dir/out" runs 0 metrics accuracy)" "$accuracy" "--init: evaluated again, the same accuracy"
is "$(json "$dir/out" runs 0 checkpoint)" null "nothing is trained, so nothing kept"
bench run "$net:text" --data "$dir/a.txt" --epochs 1 --no-save --threads 1
ok "$(test ! -e "$kept/sequences-text.safetensors"; echo $?)" "--no-save"
bench run "$net:text" --data "$dir/a.txt" --max-steps 3 --threads 1
ok "$(test ! -e "$kept/sequences-text.safetensors"; echo $?)" "a look at a few steps keeps nothing"
bench run "$net:text" --data "$dir/a.txt" --max-steps 3 --threads 1 --save "$dir/t.safetensors"
is $status 0 "--save"; grep -aq 'vocabulary.*characters' "$dir/t.safetensors"; ok $? "with the vocabulary"
bench run "$net:text" --data "$dir/a.txt" --time-budget 0.05 --epochs 100000 --threads 1
ok "$(test -s "$kept/sequences-text.safetensors"; echo $?)" "kept when the time is over"
bench run "$net:text" --save "$dir/no/t.safetensors"
is $status 2 "--save into no folder: exit 2"; like err "cannot write '$dir/no/t.safetensors'" "says so, before it trains"
bench run "$net:text" "$net:reverse" --save "$dir/t.safetensors"
is $status 2 "--save of two runs: exit 2"
bench run "$net:reverse" --synthetic --save "$dir/t.safetensors"
is $status 2 "--save of noise: exit 2"
bench run mlp --data digits --max-steps 2 --save "$dir/m.safetensors" --no-record
is $status 0 "--save of a network for images"
bench run mlp --data digits --max-steps 2 --init "$dir/m.safetensors" --no-record
is $status 0 "and --init from it"
done_testing
