#!/bin/sh
# Sequences: generated tasks, texts and pairs by --data, what is told, refused and recorded.
. tests/cli/tap.sh
export XDG_DATA_HOME="$dir/share" BENCH_DATA="$dir/data" BENCH_SYSROOT="$dir/none" # whatever is installed here
net=${BENCH_BUILD:-build/release}/tests/plugins/bench-sequences.so

bench run "$net:adding" --epochs 1 --max-steps 800 --threads 1 --json
is $status 0 "adding: runs"
is "$(json "$dir/out" runs 0 dataset)" adding:6 "data set: the task"
is "$(json "$dir/out" runs 0 synthetic)" true "generated"
is "$(json "$dir/out" runs 0 status)" ok "ok"
mse=$(json "$dir/out" runs 0 metrics mse)
is "$(awk -v m="$mse" 'BEGIN { print (m > 0 && m < 0.1) ? "learnt" : m }')" learnt "better than saying 1 always"
first=$mse
bench run "$net:adding" --epochs 1 --max-steps 800 --threads 2 --json
is "$(json "$dir/out" runs 0 metrics mse)" "$first" "two threads: the same bits"
bench results --json
is "$(json "$dir/out" runs 0 dataset)" adding:6 "recorded"
bench run "$net:adding" --to-accuracy 50 --max-steps 3
is $status 2 "a percentage of what is judged by mse: exit 2"; like err 'to-accuracy: .* judged by its mse' "says so"
bench run "$net:adding" --data adding:9 --max-steps 3 --json
is "$(json "$dir/out" runs 0 dataset)" adding:9 "--data: another task"

bench run "$net:reverse" --max-steps 200 --threads 1 --json
is $status 0 "reverse: lengths in buckets"
is "$(json "$dir/out" runs 0 status)" ok "ok"
is "$(json "$dir/out" runs 0 steady)" null "no steady state is asked of steps of different lengths"
bench run "$net:reverse" --max-steps 20 --threads 1 --synthetic
is $status 0 "on noise"; like err 'timing only' "and says so"
bench profile "$net:reverse" --steps 5 --threads 1 --no-record
is $status 0 "profile"

bench run "$net:text" --max-steps 1
is $status 6 "no text here: exit 6"
like err "kjv is not here: install Debian's sword-text-kjv, or give a text file with --data" "which package would bring it"
for i in $(seq 400); do echo "the cat sat on mat $i"; done >"$dir/a.txt"
printf '\n\303(bad\n' >>"$dir/a.txt"
bench run "$net:text" --data "$dir/a.txt" --max-steps 20 --threads 1
is $status 0 "text of a file"
like err 'left out of 402 lines: 1 not UTF-8 \(line 402\)' "what was left out, and where"
bench run "$net:text" --data "text:$dir/a.txt" --max-steps 20 --threads 1 --json
is "$(json "$dir/out" runs 0 dataset)" text:a.txt "a set has the name of its file"
bench run "$net:text" --data "$dir/a.txt" --epochs 3 --to-accuracy 1 --threads 1 --json
is $status 0 "an accuracy is reached"; is "$(json "$dir/out" runs 0 reason)" 'reached 1' "whatever the first metric is"
bench run "$net:text" --data "$dir/a.txt" --epochs 1 --to-accuracy 100 --threads 1
is $status 7 "or not: exit 7"; like err 'target missed: accuracy [0-9.]* % at best, wanted 100 %' "by how much"
bench run "$net:text" --data "$dir/a.tx" --max-steps 1
is $status 2 "no such file: exit 2"; like err "no file, folder, set or task" "says so"
bench run "$net:text" --data pairs --max-steps 1
is $status 6 "a task that gives other inputs: exit 6"

bench dump "$net:text" --data "$dir/a.txt" -o "$dir/a.safetensors"
is $status 0 "dump"; grep -aq 'vocabulary.*characters' "$dir/a.safetensors"; ok $? "with the vocabulary"
bench run "$net:text" --data "$dir/a.txt" --init "$dir/a.safetensors" --max-steps 2 --threads 1
is $status 0 "--init with the same characters"
tr 's' 'z' <"$dir/a.txt" >"$dir/c.txt"
bench run "$net:text" --data "$dir/c.txt" --init "$dir/a.safetensors" --max-steps 2 --threads 1
is $status 2 "with others: exit 2"; like err 'trained on other tokens' "says so"

mkdir "$dir/pairs"
cp "$dir/a.txt" "$dir/pairs/train.en"; cp "$dir/a.txt" "$dir/pairs/train.de"
bench run "$net:pairs" --data "$dir/pairs" --max-steps 5 --threads 1
is $status 0 "pairs of a folder"
echo more >>"$dir/pairs/train.de"
bench run "$net:pairs" --data "$dir/pairs" --max-steps 5 --threads 1
is $status 6 "unequal files: exit 6"
like err 'train.en has 402 lines, .*train.de 403: expected as many' "by name, with their lines"

bench run "$net:wrong" --max-steps 1
is $status 6 "an input that the task does not give"; like err "'image': 'copy:2' gives 'tokens', 'length', 'next' only" "says what it gives"
bench run lstm:names --data dates --max-steps 1 --threads 1
is $status 6 "a task of several lengths that does not fit"
like err "'dates' gives 'source'" "is told, not a crash"
bench run "$net:no-task" --max-steps 1
is $status 2 "no such task: exit 2"; like err "no task 'copi': did you mean 'copy'" "a suggestion"
bench plugin check "$net"; is $status 0 "plugin check"
like out 'adding: trains on adding:6' "trains on the task"
bench info "$net:adding"; like out 'adding:6' "info tells the task"
bench list; like out 'kjv-rv' "list: sets of text"; like out 'copy:T' "and tasks"
bench doctor; like out 'kjv: not here: package sword-text-kjv' "doctor: which package"
done_testing
