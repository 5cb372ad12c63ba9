#!/bin/sh
# bench profile: measured, shown, recorded, drawn, traced.
. tests/cli/tap.sh
quick="--data digits --batch 32 --steps 12 --threads 1"

bench profile mlp:128 $quick --no-plot --json --trace "$dir/trace.json" --flame "$dir/flame" --explain
is $status 0 "a short profile"
is "$(json "$dir/out" schema)" 1 "--json: schema"
is "$(json "$dir/out" run plugin)" mlp "plugin"
is "$(json "$dir/out" run run)" 1 "number in the database"
for key in plain_ms timed_ms traced_ms mean_ms sum_ms; do
    perl -e 'exit !($ARGV[0] > 0)' "$(json "$dir/out" profile $key)"; ok $? "$key is measured"
done
perl -e 'exit !(abs($ARGV[0] / $ARGV[1] - 1) < 0.03)' "$(json "$dir/out" profile sum_ms)" "$(json "$dir/out" profile mean_ms)"
ok $? "ops add up to their steps within 3 %"
perl -e 'exit !($ARGV[0] > 1e8)' "$(json "$dir/out" profile roofs peak_flops)"; ok $? "a roof of arithmetic"
perl -e 'exit !($ARGV[0] > 1e8)' "$(json "$dir/out" profile roofs read_dram)"; ok $? "a roof of memory"
is "$(json "$dir/out" profile ops 0 op)" feed "the first op is the feed"
perl -MJSON::PP -0777 -ne 'my $p = decode_json($_)->{profile}; my ($o, $r) = (0, 0); $o += $_->{ns} for @{$p->{ops}};
    $r += $_->{ns} for @{$p->{rows}}; exit !(@{$p->{rows}} > 2 && abs($o / $r - 1) < 1e-6)' "$dir/out"
ok $? "rows add up to the same as ops"
perl -MJSON::PP -0777 -ne 'my @x = grep { $_->{ph} eq "X" } @{decode_json($_)->{traceEvents}}; exit !(@x > 20)' "$dir/trace.json"
ok $? "the trace is JSON with slices"
is "$(grep -vcE '^mlp:128;(feed|forward|backward|update);[^;]+;[^;]+ [0-9.]+$' "$dir/flame")" 0 "every line is a stack"
perl -MJSON::PP -0777 -ne 'exit !(decode_json($_)->{explain} =~ /activations/)' "$dir/out"; ok $? "--explain: the plan"

bench profile mlp:128 $quick --no-plot
is $status 0 "tables"; like out 'Ops by time' "ops"; like out 'Rows of the' "rows"; like out 'Roofs' "roofs"
like out 'Sum .* ms' "the sum"; like out 'Cost .*(of timing|too busy).* steps timed' "the cost"; like out 'gemm_f32 NT: (tiles|dots|few|thin).* 1x1' "a kernel and its algorithm"
bench profile mlp:128 $quick --no-record -q
is $status 0 "not recorded"; is "$(wc -c <"$dir/err")" 0 "-q says nothing"
bench results --json
is "$(json "$dir/out" runs | grep -c HASH)$(json "$dir/out" runs 2 run)" "0null" "two are recorded"

# A profile is no training: it must not replace one in a report.
bench run mlp:128 --data digits --max-steps 12 --threads 1 -q
bench profile mlp:128 $quick -q --no-plot
bench report mlp:128 --json -o "$dir/report"
is "$(json "$dir/out" runs)" 1 "reports show the training"

# The picture, or why there is none.
if command -v gnuplot >/dev/null; then
    bench profile mlp:128 $quick --json -o "$dir/profile"
    page=$(json "$dir/out" report)
    ok "$([ -s "$page" ]; echo $?)" "a page"; grep -q "machine's roofs\|machine&#39;s roofs" "$page"; ok $? "with a roofline"
    is "$page" "$dir/profile/index.html" "where -o says"
else
    skip "no gnuplot"
fi
mkdir "$dir/empty"
run env PATH="$dir/empty" "$BENCH" profile mlp:128 $quick --json -o "$dir/bare"
is $status 0 "without gnuplot it goes on"; ok "$(json "$dir/out" problem | grep -q gnuplot; echo $?)" "and says so"

bench profile; is $status 2 "no selector"; like err 'expected one selector' "says what it wants"
bench profile 'mlp:*'; is $status 2 "several variants"
bench profile nosuch; is $status 2 "unknown plugin"
bench profile mlp --steps 0; is $status 2 "--steps 0"
bench profile mlp:128 $quick --no-plot --trace /nonexistent/t.json; is $status 1 "a trace that cannot be written fails"
is "$(cat "$dir/err")" "bench: cannot write '/nonexistent/t.json': No such file or directory" "before anything is measured"
bench profile mlp:128 $quick --no-plot --flame -; is $status 1 "--flame -"
like err "expected a file's name; standard output is '/dev/stdout'" "says what does it"
"$BENCH" profile mlp:128 $quick --no-plot --no-record -q --flame /dev/stdout | grep -q '^mlp:128;forward;'; ok $? "and that does, in a pipe"
done_testing
