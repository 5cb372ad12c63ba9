#!/bin/sh
# What a trained network says: heard from its worker, printed, recorded, reported. The plugin "forge"
# sends what the file $BENCH_FORGED holds.
. tests/cli/tap.sh
net=${BENCH_BUILD:-build/release}/tests/plugins/bench-forge.so
quick="--data digits --max-steps 5 --threads 1"
export BENCH_FORGED="$dir/frames"

byte() { printf "\\$(printf %03o "$1")"; }
frame() { # frame JSON: type 5 is a sample (frame.h)
    printf 'BNF1\005\000\000\000'; byte $((${#1} % 256)); byte $((${#1} / 256)); printf '\000\000%s' "$1"
}
sample() { # sample SOURCE REFERENCE OUTPUT
    frame "{\"source\":\"$1\",\"reference\":\"$2\",\"output\":\"$3\",\"source_tokens\":[\"a\",\"<b>\"],\"output_tokens\":[\"x\"],\"attention\":[[0.25,0.75]]}"
}
for i in 1 2 3 4; do sample "source $i" "same" "same"; done >"$dir/frames"
sample '<script>alert(1)</script>' '\u001b[2J' "$(printf '%0300d' 7)" >>"$dir/frames"

bench run "$net" $quick --json; is $status 0 "a network that says five things"
is "$(json "$dir/out" runs 0 samples 4 source)" '<script>alert(1)</script>' "run --json has them"
is "$(json "$dir/out" runs 0 samples 0 attention 0 1)" 0.75 "with attention"
bench run mlp:128 $quick --json; is "$(json "$dir/out" runs 0 samples)" ARRAY "one that says nothing has none"
bench run "$net" $quick; is "$(grep -c ' says$' "$dir/out")" 0 "where no terminal is, the table is all"

bench results show 1; like out '^  output     same$' "results show"
is "$(grep -c '^  source  ' "$dir/out")" 5 "all of them"
is "$(grep -c "$(printf '\033')" "$dir/out")" 0 "nothing that a terminal would obey"
bench results show 1 --json; is "$(json "$dir/out" runs 0 samples 4 output)" "$(printf '%0300d' 7)" "as JSON"
is "$(json "$dir/out" runs 0 samples 1 source_tokens 1)" '<b>' "with tokens"
bench db check; is $status 0 "db check"
bench db vacuum; is $status 0 "db vacuum"
bench report "$net" forge -o "$dir/report"; is $status 0 "report"
is "$(grep -c '<svg class="map"' "$dir/report/index.html")" 5 "has a map for each"
is "$(grep -c '<script' "$dir/report/index.html")" 0 "and no script"
[ -s "$dir/report/attention_3_5.svg" ]; ok $? "maps as files"
grep -q 'attention_3_5.svg' "$dir/report/report.md"; ok $? "for the Markdown"

if script -qec true /dev/null >/dev/null 2>&1; then
    terminal() { script -qec "stty cols 60; '$BENCH' $*" /dev/null </dev/null 2>/dev/null | tr -d '\r' >"$dir/out"; }
    terminal run "$net" $quick
    is "$(grep -c 'says$' "$dir/out")" 1 "on a terminal a run says something"
    is "$(grep -c '^  source  ' "$dir/out")" 3 "three things at most"
    terminal run "$net" $quick -q; is "$(grep -c 'says$' "$dir/out")" 0 "not with -q"
    terminal run "$net" $quick --seeds 2; is "$(grep -c '^  source  ' "$dir/out")" 2 "one for each of several runs"
    terminal results show 1; is "$(grep -c '^  output     0\{46\}…$' "$dir/out")" 1 "texts end where the terminal ends"
else
    skip "no script(1)"
fi

frame '{"output":7}' >"$dir/frames"
bench run "$net" $quick; is $status 6 "a forged sample: exit 6"; like err "garbled message.*sample: " "says so"
done_testing
