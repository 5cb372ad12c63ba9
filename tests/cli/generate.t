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
mkfifo "$dir/pipe"; bench run "$net:text" --save "$dir/pipe"
is $status 2 "--save into a pipe: exit 2"; ok "$(test -p "$dir/pipe"; echo $?)" "and the pipe stays"
bench run "$net:text" "$net:reverse" --save "$dir/t.safetensors"
is $status 2 "--save of two runs: exit 2"
bench run "$net:reverse" --synthetic --save "$dir/t.safetensors"
is $status 2 "--save of noise: exit 2"
bench run mlp --data digits --max-steps 2 --save "$dir/m.safetensors" --no-record
is $status 0 "--save of a network for images"
bench run mlp --data digits --max-steps 2 --init "$dir/m.safetensors" --no-record
is $status 0 "and --init from it"
run sh -c 'ulimit -f 10; "$@"' - "$BENCH" run mlp --data digits --max-steps 2 --save "$dir/big" --no-record
is $status 6 "--save beyond ulimit -f: exit 6"; like err "cannot write '$dir/big': File too large" "says so"
ok "$(! ls "$dir"/big* 2>/dev/null; echo $?)" "and leaves nothing"

# Stopped by hand: what there is is saved, if it was asked for.
"$BENCH" run "$net:speak" --data "$dir/a.txt" --epochs 100000 --save "$dir/half.safetensors" --no-record >"$dir/out" 2>"$dir/err" &
worker=$!
for i in $(seq 200); do grep -q 'epoch  1' "$dir/err" && break; sleep 0.1; done
kill -TERM $worker
status=0; wait $worker || status=$?
is $status 130 "interrupted: exit 130"
ok "$(test -s "$dir/half.safetensors"; echo $?)" "and saved"

# ---- translations of the test set at the end of a run
bench run lstm:addition --epochs 1 --threads 1 --json -q
is $status 0 "a network that says all at once"
is "$(awk -v e="$(json "$dir/out" runs 0 metrics exact)" 'BEGIN { print (e >= 0 && e <= 100) ? "percent" : e }')" percent "is judged like others"
bench generate lstm:addition --prompt 12+30 --threads 1; is $status 0 "and answers"; like out '^[0-9]+$' "with a number"
bench generate lstm:addition --prompt 12+30 --threads 1 --beam 3
is $status 2 "beams have nothing to go on from: exit 2"; like err 'says all of a text at once' "says so"
bench run "$net:attend" --time-budget 1 --threads 1 --json -q
is $status 0 "attend: runs"
is "$(awk -v e="$(json "$dir/out" runs 0 metrics exact)" 'BEGIN { print (e >= 0 && e <= 100) ? "percent" : e }')" percent "exact, beside the accuracy"
bench run "$net:attend" --max-steps 5 --threads 1 --json -q
is "$(json "$dir/out" runs 0 metrics exact)" null "not of a look at a few steps"
mkdir "$dir/pairs"
for i in $(seq 300); do echo "the cat $((i % 7)) sat on mat $i"; done >"$dir/pairs/train.en"
sed 's/the/die/; s/cat/katze/; s/sat on/sitzt auf/' "$dir/pairs/train.en" >"$dir/pairs/train.de"
bench run "$net:pairs" --data "$dir/pairs" --epochs 2 --threads 1 --json -q
is $status 0 "pairs: runs"
is "$(awk -v e="$(json "$dir/out" runs 0 metrics bleu)" 'BEGIN { print (e >= 0 && e <= 100) ? "score" : e }')" score "bleu"
first=$(json "$dir/out" runs 0 metrics bleu)
bench run "$net:pairs" --data "$dir/pairs" --epochs 2 --threads 2 --json -q
is "$(json "$dir/out" runs 0 metrics bleu)" "$first" "the same on two threads"

# ---- text that runs on
for i in $(seq 1000); do echo "the cat sat on mat $((i % 10))"; done >"$dir/b.txt"
bench generate "$net:speak"
is $status 6 "no checkpoint: exit 6"
like err "sequences:speak has not been trained yet: .bench run sequences:speak. keeps its parameters in '$kept/sequences-speak.safetensors'" "says what would bring one"
bench run "$net:speak" --data "$dir/b.txt" --epochs 1 --threads 1 -q
is $status 0 "speak: runs"
bench generate "$net:speak" --prompt "the c" --length 60 --temperature 0
is $status 0 "generate"; like out '^the cat sat on mat' "goes on from the prompt"
is "$(wc -c <"$dir/out")" 66 "for so many characters, and a line's end"
cp "$dir/out" "$dir/greedy"
bench generate "$net:speak" --prompt "the c" --length 60 --temperature 3 --top-k 1
ok "$(cmp -s "$dir/out" "$dir/greedy"; echo $?)" "the best one's draws are the greedy text"
bench generate "$net:speak" --length 100 --seed 7 --temperature 2; cp "$dir/out" "$dir/seven"
bench generate "$net:speak" --length 100 --seed 7 --temperature 2 --threads 2
ok "$(cmp -s "$dir/out" "$dir/seven"; echo $?)" "the same seed, the same text, on two threads"
bench generate "$net:speak" --length 100 --seed 8 --temperature 2
ok "$(cmp -s "$dir/out" "$dir/seven"; [ $? = 1 ]; echo $?)" "another seed, another one"
bench generate "$net:speak" --prompt "the caté" --length 5
is $status 0 "a character that nobody has seen"; like err "'é': not in the vocabulary, left out" "is told"
bench generate "$net:speak" --prompt "$(printf 'the \303(')" --length 5
is $status 2 "no UTF-8: exit 2"; like err '\-\-prompt: byte 5 is not UTF-8' "where"
long=$(head -c 100000 "$dir/b.txt" | tr '\n' ' ' | head -c 100000)
bench generate "$net:speak" --prompt "$long" --length 5
is $status 0 "a long prompt"; like err 'has [0-9]+ tokens: the last 4096 are read' "of which the end is read"
bench generate "$net:speak" --count 2 --length 10 --json
is "$(json "$dir/out" said 1 tokens)" 10 "--count, --json"
bench generate "$net:speak" --beam 3
is $status 2 "--beam of text: exit 2"
bench run "$net:words" --data "$dir/b.txt" --epochs 1 --threads 1 -q
bench generate "$net:words" --prompt "The CAT zebra" --length 12 --temperature 0
like out '^the cat <unk> .*the cat sat on mat' "words, small, unknown ones as such"; like err "'zebra': not in the vocabulary, read as <unk>" "and told"
for i in $(seq 30); do for c in l m n r s t; do for v in a e i o u; do echo "$c${v}na"; done; done; done >"$dir/names.txt"
bench run "$net:lines" --data "$dir/names.txt" --epochs 3 --threads 1 -q
is $status 0 "lines: runs"
bench generate "$net:lines" --count 10 --temperature 0.3
is "$(grep -cE '^[lmnrst][aeiou]na$' "$dir/out")" 10 "ten names"
bench generate "$net:lines" --prompt lu --temperature 0
is "$(cat "$dir/out")" luna "that begins so"

# ---- translations, classes
bench run "$net:attend" --max-steps 400 --threads 1 -q --save "$dir/attend.safetensors"
is $status 0 "attend: runs"
generate() { bench generate "$net:attend" --from "$dir/attend.safetensors" --threads 1 "$@"; }
generate --prompt abc
is $status 0 "translate"; is "$(wc -l <"$dir/out")" 1 "a line"
generate --prompt abc --beam 3 --json
is "$(json "$dir/out" said 0 prompt)" abc "beam"; like out '"score"' "with scores"
generate --prompt ab --temperature 1
is $status 2 "a translation is not drawn: exit 2"
generate --prompt abcdef --length 2 --json
is "$(json "$dir/out" said 0 tokens)" 2 "--length of a translation"
generate --prompt abcdef --length 2 --beam 2 --json
ok "$([ "$(json "$dir/out" said 0 tokens)" -le 2 ]; echo $?)" "and by beam"
generate --prompt abc --count 3
is $status 2 "--count without --beam: exit 2"; like err 'expected --beam 3 or more' "says what would do"
printf 'abc\n\nde\n' >"$dir/in"
lines() { status=0; "$BENCH" generate "$net:attend" --from "$dir/attend.safetensors" "$@" <"$dir/in" >"$dir/out" 2>"$dir/err" || status=$?; }
lines
is $status 0 "lines of standard input"; is "$(wc -l <"$dir/out")" 3 "each has its own, an empty one an empty one"
: >"$dir/in"; lines
is $status 2 "nothing there: exit 2"; like err 'standard input is empty' "says so"
printf 'abc\nd\300\n' >"$dir/in"; lines
is $status 2 "no UTF-8: exit 2"; like err 'line 2: byte 2 is not UTF-8' "where"
head -c 1000000 /dev/zero | tr '\0' a >"$dir/in"; lines
is $status 2 "a megabyte in a line: exit 2"; like err 'standard input: line 1: found 1000000 tokens, expected up to 2000' "says so"
bench generate "$net:reverse" --from "$dir/attend.safetensors" --prompt a
is $status 2 "another variant's checkpoint: exit 2"
like err 'holds the parameters of sequences:attend, not of sequences:reverse' "says whose"
bench generate mlp --from "$dir/attend.safetensors"
is $status 2 "another plugin's: exit 2"
head -c 3000 "$dir/attend.safetensors" >"$dir/broken.safetensors"
bench generate "$net:attend" --from "$dir/broken.safetensors" --prompt a
is $status 6 "a file cut off: exit 6"; like err 'broken.safetensors: ' "by name"
for key in plugin variant vocabulary; do
    # The same file with that key misspelt, or its first line: as many bytes, so the header still fits.
    if [ $key = vocabulary ]; then sed 's/characters special/charakters special/' "$dir/attend.safetensors" >"$dir/odd.safetensors"
    else sed "s/\"$key\":\"/\"$(echo $key | tr a-z A-Z)\":\"/" "$dir/attend.safetensors" >"$dir/odd.safetensors"; fi
    bench generate "$net:attend" --from "$dir/odd.safetensors" --prompt a
    is $status 6 "odd $key: exit 6"
    if [ $key = vocabulary ]; then like err 'odd.safetensors: vocabulary: line 1: found .charakters special' "by name, once"
    else like err "odd.safetensors: metadata: found no '$key'" "by name"; fi
done
bench generate "$net:attend" --from "$dir/none.safetensors" --prompt a
is $status 2 "no such file: exit 2"
bench generate mlp --from "$dir/m.safetensors"
is $status 2 "a network for images says nothing: exit 2"
bench run "$net:copy" --max-steps 2 --threads 1 -q --save "$dir/copy.safetensors"
bench generate "$net:copy" --from "$dir/copy.safetensors"
is $status 2 "nor does one that copies symbols"; like err "says nothing: its task is copy:2" "says why"
mkdir "$dir/names"
for i in $(seq 100); do echo "anna$((i % 3))"; done >"$dir/names/A.txt"
for i in $(seq 100); do echo "bob$((i % 3))"; done >"$dir/names/B.txt"
bench run "$net:names" --data "$dir/names" --epochs 20 --threads 1 -q
is $status 0 "names: runs"
bench generate "$net:names" --prompt bob1
is $status 0 "classes"; is "$(head -1 "$dir/out" | grep -c 'B$')" 1 "the likely one first"
status=0; printf 'anna1\n\nbob1\n' | "$BENCH" generate "$net:names" >"$dir/out" 2>"$dir/err" || status=$?
is $status 0 "an empty line between names"; is "$(wc -l <"$dir/out")" 2 "is left out alone"
like err 'standard input: line 2: no characters, left out' "and told"
for o in --length --count --temperature --top-k --beam; do
    bench generate "$net:names" --prompt bob1 $o 2
    is $status 2 "$o of classes: exit 2"; like err "^bench: $o: sequences:names tells the class" "by name"
done
bench generate "$net:names"
is $status 2 "nothing to tell the class of: exit 2"
bench run rnn:spell --data "$dir/names" --epochs 20 --threads 1 -q
is $status 0 "names of a class: runs"
bench generate rnn:spell --temperature 0
is "$(cut -c1-5 "$dir/out" | tr '\t' ' ' | tr '\n' '|')" "A ann|B bob|" "one of each"
bench generate rnn:spell --prompt b --temperature 0 --count 2
is "$(grep -c '^bob' "$dir/out")" 2 "two of one"
bench generate rnn:spell --prompt x
is $status 2 "no such class: exit 2"; like err "found 'x', expected a class: A B" "which there are"
bench generate lenet5
is $status 2 "images have nothing to say: exit 2"; like err 'lenet5:modern says nothing: its task is to tell images apart' "trained or not"
bench generate lstm
like err 'lstm:row says nothing.*expected one of .*lstm:char' "and who would speak"
bench help generate; like out '\-\-top-k K' "help"
done_testing
